"""``python -m symbackprop``, and the command of that name."""

import sys


def main() -> None:
    """Run the command line; an interruption while it is being imported takes one line, too."""
    try:
        from symbackprop.cli import main as command_line
    except KeyboardInterrupt:
        sys.stderr.write("symbackprop: interrupted\n")
        sys.exit(130)
    command_line()


if __name__ == "__main__":
    main()
