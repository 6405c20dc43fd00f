"""docs/deploy.md: checkpoints and log, copied in this order while a server records, are a history."""

import shutil
import subprocess
import time
from pathlib import Path

from deploying import REPOSITORY
from running import RunningServer, run

WAIT_S = 60
COPIES = 3


def test_a_copy_made_while_a_server_records_is_good(tmp_path: Path) -> None:
    assert "tar -cC /history/recorded checkpoints log" in (REPOSITORY / "docs/deploy.md").read_text(encoding="utf-8")
    history = tmp_path / "history"
    (history / "checkpoints").mkdir(parents=True)
    server = RunningServer(
        "--source",
        "synthetic:?instruments=4&rate=20000",
        "--history",
        str(history),
        env={"L3BOOK_HISTORY_CHECKPOINT_RECORDS": "2000"},
    )
    try:
        server.wait_until_listening()
        deadline_s = time.monotonic() + WAIT_S
        # Checkpoints are written when there is nothing else to do: on a busy machine the copies have none.
        while not list(history.glob("checkpoints/*.l3ck")) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        for number in range(COPIES):
            copy = tmp_path / f"copy{number}"
            copy.mkdir()
            archive = subprocess.run(
                ["tar", "-cC", history, "checkpoints", "log"], stdout=subprocess.PIPE, check=False, timeout=60
            )
            # 1: a file was written to meanwhile.
            assert archive.returncode in {0, 1}
            subprocess.run(["tar", "-xC", copy, "-f", "-"], input=archive.stdout, check=True, timeout=60)
            done = run("history", "verify", copy)
            assert done.returncode == 0, done.stderr
            assert b"all good" in done.stdout
            shutil.rmtree(copy)
    finally:
        server.kill()
