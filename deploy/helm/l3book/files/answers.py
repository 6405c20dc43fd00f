"""Ask every server named on the command line whether it runs and is ready; exit 1 where one does not say so in time."""

import ssl
import sys
import time
import urllib.error
import urllib.request

WAIT_S = 120
TIMEOUT_S = 5

# It asks by the Service's name, to which no certificate needs to be made out; nothing secret is sent.
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE


def answers(url):
    """Say in a line what came of it, and whether that is good."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S, context=context) as answer:
            return True, f"{url}: {answer.status}"
    except urllib.error.HTTPError as error:
        return False, f"{url}: {error.code} {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return False, f"{url}: {error}"


deadline_s = time.monotonic() + WAIT_S
failed = False
for server in sys.argv[1:]:
    for path in ("/livez", "/readyz?feed=any"):
        good, line = answers(server + path)
        while not good and time.monotonic() < deadline_s:
            time.sleep(1)
            good, line = answers(server + path)
        print(line)
        failed = failed or not good
sys.exit(failed)
