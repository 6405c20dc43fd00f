"""What `--source` takes, for the help of verbs that have it."""

SOURCES = """\
sources, their options behind a question mark and with & between them:

  synthetic:        a made-up market: instruments=N, rate=N or max, seed=N
  file:PATH         a recording: speed=X as recorded times X, rate=N per second; neither: as fast as it is read
  live://DATASET    Databento's live service, or --gateway: symbols=A,B (all unless told), stype_in=raw_symbol,
                    schema=mbo, snapshot=1 or start=NS, compression=none or zstd, heartbeat_s=30,
                    gateway=HOST:PORT, end=stop or reconnect. The key comes from DATABENTO_API_KEY
  tcp://HOST:PORT   bare DBN: idle_s=S (silence that long means half-open), end=stop or reconnect
  nats://HOST:PORT/STREAM
                    what `l3book publish` has written: shard=I, from=first, new or TIME, end=stop or reconnect, tls=1.
                    L3BOOK_NATS_USER and L3BOOK_NATS_PASSWORD, L3BOOK_NATS_TOKEN or L3BOOK_NATS_CREDENTIALS say who

such as 'live://GLBX.MDP3?symbols=ES.FUT&stype_in=parent&snapshot=1'
"""
