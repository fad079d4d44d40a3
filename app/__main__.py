"""The `tandem` command, by its name or as `python -m app`."""

import gc
import sys

INTERRUPTED = 130  # as shells tell of a program that SIGINT has ended


def main() -> None:
    try:
        gc.disable()  # next to nothing of what is imported is garbage: looking for it took a tenth of the start
        from app.cli import run  # noqa: PLC0415 - only now

        gc.freeze()
        gc.enable()
        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
