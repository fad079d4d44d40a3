"""The `tandem` command, by its name or as `python -m app`."""

import gc


def main() -> None:
    gc.disable()  # nothing that is imported is garbage, and to look for some again and again takes a tenth of the start
    from app.cli import run  # noqa: PLC0415 - only now

    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
