"""The command line: what is typed, the exit status, and one line for each mistake.

Results go to stdout, everything else to stderr. Exit status: 0 done; 1 a check or a comparison
failed; 2 the input is wrong; 3 an outside program is missing. Modules that need SymPy are imported
inside the commands that need them, so ``--help`` and ``list`` are quick.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from symbackprop.errors import MissingProgram, SpecError, SymbackpropError
from symbackprop.progress import progress
from symbackprop.spec.catalogue import (
    ACTIVATIONS,
    COSTS,
    DETAILS,
    DIGITS,
    FORMATS,
    FORMS,
    LAYERS,
    TARGETS,
    UPDATES,
)
from symbackprop.tables.names import did_you_mean, quoted
from symbackprop.version import __version__

if TYPE_CHECKING:
    from symbackprop.media.files import Order
    from symbackprop.network import Network
    from symbackprop.pipeline import NetworkDerivation

CHECK_FAILED, WRONG_INPUT, MISSING_PROGRAM, OWN_MISTAKE = 1, 2, 3, 70

Command = Callable[..., Any]
T = TypeVar("T")


def _says(message: str) -> None:
    """A line on stderr."""
    click.echo(message, err=True)


def _says_what_is_wrong(error: Exception) -> None:
    """A line for an error, or for each mistake in a spec."""
    if isinstance(error, SpecError):
        for problem in error.problems:
            _says(f"{error.source}: {problem}")
    else:
        _says(f"symbackprop: {error}")


@contextmanager
def _mistakes_as_lines() -> Iterator[None]:
    """One line for each mistake and the exit status that goes with it; never a traceback."""
    try:
        yield
    except ExceptionGroup as group:
        for error in group.exceptions:
            _says_what_is_wrong(error)
        sys.exit(WRONG_INPUT)
    except MissingProgram as error:
        _says(f"symbackprop: {error}")
        sys.exit(MISSING_PROGRAM)
    except SymbackpropError as error:
        _says_what_is_wrong(error)
        sys.exit(WRONG_INPUT)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        _says(f"symbackprop: {error.filename or 'output'}: {error.strerror or error}")
        sys.exit(WRONG_INPUT)
    except (MemoryError, RecursionError) as error:
        _says(
            f"symbackprop: the network or a formula in it is too large to work with ({type(error).__name__})"
        )
        sys.exit(WRONG_INPUT)
    except Exception as error:
        if os.environ.get("SYMBACKPROP_DEBUG"):
            raise
        _says(f"symbackprop: a mistake of the program itself: {type(error).__name__}: {error}")
        _says("symbackprop: set SYMBACKPROP_DEBUG=1 to see where, and please report it")
        sys.exit(OWN_MISTAKE)


def _network_options(command: Command) -> Command:
    """SPEC and what goes with widths."""
    for option in (
        click.option("--cost", default=None, metavar="NAME", help="Cost, for widths."),
        click.option(
            "--output-activation", default=None, metavar="NAME", help="Output activation, for widths."
        ),
        click.option("--hidden", default=None, metavar="NAME", help="Hidden activation, for widths."),
        click.argument("spec"),
    ):
        command = option(command)
    return command


def _templates_option(command: Command) -> Command:
    return click.option(
        "--templates",
        default=None,
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="A folder with templates that stand in for those of the same name.",
    )(command)


def _wrt_option(command: Command) -> Command:
    return click.option(
        "--wrt", multiple=True, metavar="x", help="Also differentiate with respect to the input, x."
    )(command)


def _load(spec: str, hidden: str | None, output_activation: str | None, cost: str | None) -> Network:
    """The network that SPEC means: a file, or widths with their options."""
    from symbackprop.errors import Problem
    from symbackprop.spec.loading import from_widths, load

    given = {"hidden": hidden, "output_activation": output_activation, "cost": cost}
    options = {name: value for name, value in given.items() if value is not None}
    if not options:
        return load(spec)
    if Path(spec).is_file() or not set(spec) <= set("0123456789-"):
        names = ", ".join("--" + name.replace("_", "-") for name in options)
        wanted = f"{names}: these go with widths such as 2-3-1; a file says it itself"
        raise SpecError(spec, [Problem("", None, wanted)])
    return from_widths(spec, **options)


class _Commands(click.Group):
    """The commands; another name is told what there is."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command that the first word names."""
        if args[0].startswith("-") or args[0] in self.commands:
            return super().resolve_command(ctx, args)
        raise _NoCommand(_no_such_command(args[0]))


class _NoCommand(click.UsageError):
    """A name that is no command's, with what there is."""


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="symbackprop")
def cli() -> None:
    """Derive backpropagation: a network goes in; a checked derivation and its gradient code come out.

    SPEC is a TOML file, or widths such as 2-3-1. To begin with:

    \b
      symbackprop derive 2-3-1                  LaTeX, code and certificate in output/2-3-1/
      symbackprop derive 2-3-1 --to html        a web page besides
      symbackprop export 2-3-1                  the gradient code alone
      symbackprop compare 2-3-1                 the code beside numeric references
      symbackprop list activations              what may stand in a spec
      symbackprop derive --help                 all that derive can do
    """


@cli.command()
@_network_options
@click.option(
    "-o",
    "--output",
    "folder",
    default="output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to write; output by default.",
)
@click.option("--notation", default="nielsen", metavar="NAME", help="Notation of the text, or a .toml file.")
@click.option(
    "--language", default="en", metavar="NAME", help="Language of the words, or a .toml file; en by default."
)
@click.option(
    "--form", "forms", multiple=True, metavar="FORM", help=f"{', '.join(FORMS)}; several may be given."
)
@click.option(
    "--to", "formats", multiple=True, metavar="FORMAT", help=f"{', '.join(FORMATS)}; tex by default."
)
@click.option("--route", default="chain", metavar="ROUTE", help="chain (default) or composite.")
@click.option(
    "--digits", default=DIGITS, metavar="N", help=f"Decimals in a worked example; {DIGITS} by default."
)
@click.option("--detail", default="full", metavar="DETAIL", help=f"{' or '.join(DETAILS)}; full by default.")
@click.option(
    "--only",
    multiple=True,
    metavar="LABEL",
    help="Which equation or picture --to standalone is for, such as delta-1 or network.",
)
@click.option("--update", default="", metavar="RULE", help=f"With a training step: {', '.join(UPDATES)}.")
@click.option(
    "--katex",
    default=None,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A style sheet that several web pages are to share: written to FILE, and linked to.",
)
@_templates_option
@_wrt_option
def derive(
    spec: str,
    hidden: str | None,
    output_activation: str | None,
    cost: str | None,
    folder: Path,
    notation: str,
    language: str,
    forms: tuple[str, ...],
    formats: tuple[str, ...],
    route: str,
    digits: int,
    detail: str,
    only: tuple[str, ...],
    update: str,
    katex: Path | None,
    templates: Path | None,
    wrt: tuple[str, ...],
) -> None:
    """Write the derivation, the gradient code and the certificate of SPEC into DIR/NAME/."""
    from symbackprop.rendering.render import own_templates

    with _mistakes_as_lines(), own_templates(templates):
        from symbackprop.layout.manner import Manner
        from symbackprop.media.files import Order
        from symbackprop.notation.notation import load_notation
        from symbackprop.notation.words import load_words
        from symbackprop.pipeline import ROUTES
        from symbackprop.pipeline import derive as derive_network
        from symbackprop.printing.rounding import check_digits

        network = _all_of(
            lambda: _load(spec, hidden, output_activation, cost),
            lambda: _known("--to", formats, FORMATS),
            lambda: _known("form", forms, FORMS),
            lambda: _known("route", (route,), ROUTES),
            lambda: _known("--update", (update,) if update else (), UPDATES),
            lambda: _known("detail", (detail,), DETAILS),
            lambda: load_notation(notation),
            lambda: load_words(language),
            lambda: check_digits(digits),
            lambda: _goes_with("--only", only, "standalone", formats),
        )
        with progress(f"deriving {network.name}"):
            derivation = derive_network(network, route, wrt)
        if derivation.route != route:
            _says(
                f"symbackprop: --route {route}: the depth is the symbol {network.depth}, so the cost "
                f"can't be written out: it is derived by the {derivation.route} rule"
            )
        target = folder / network.name
        shared = os.path.relpath(katex, target) if katex else ""
        manner = Manner(notation, forms, digits, detail, language, update=update)
        order = Order(derivation, manner, only, shared)
        _write_all(order, formats, target)


def _write_all(order: Order, formats: tuple[str, ...], target: Path) -> None:
    """Write every file and print its path; then say which checks failed, and what is missing."""
    from symbackprop.media.files import sheets, texts
    from symbackprop.rendering.storage import write_all

    made = [makes(order, formats) for makes in (texts, sheets)]
    files = {target / name: content for each in made for name, content in each.files.items()}
    missing = [sentence for each in made for sentence in each.missing]
    write_all(files)
    for path in files:
        click.echo(path)
    if "html" in formats:
        _says_if_a_script_is_needed()
    _says_where_it_is_wrong(order.derivation)
    for sentence in missing:
        _says(f"symbackprop: {sentence}")
    failed = order.failed()
    if failed:
        _says(f"symbackprop: {len(failed)} equalities did not pass their check: {', '.join(failed[:5])}")
        sys.exit(CHECK_FAILED)
    if missing:
        sys.exit(MISSING_PROGRAM)


def _says_where_it_is_wrong(derivation: NetworkDerivation) -> None:
    """Lines of code that are wrong at saturation."""
    for line in derivation.weak_lines:
        _says(f"symbackprop: {line.sentence()}")


def _says_if_a_script_is_needed() -> None:
    """What is missing where formulas can't be set before the page is opened."""
    from symbackprop.media.files import WITHOUT_ENGINE
    from symbackprop.media.katex import can_set

    if not can_set():
        _says(f"symbackprop: {WITHOUT_ENGINE}")


@cli.command()
@_network_options
@click.option("--target", default="numpy", metavar="TARGET", help=f"{', '.join(TARGETS)}; numpy by default.")
@click.option(
    "-o",
    "--output",
    "file",
    default=None,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file to write; stdout by default.",
)
@click.option(
    "--code",
    default="auto",
    metavar="CODE",
    help="What make_gradients is made of: arrays, scalar (number by number) or auto (whichever is faster).",
)
@click.option("--update", default=None, metavar="RULE", help=f"With a training step: {', '.join(UPDATES)}.")
@_templates_option
@_wrt_option
def export(
    spec: str,
    hidden: str | None,
    output_activation: str | None,
    cost: str | None,
    target: str,
    file: Path | None,
    code: str,
    update: str | None,
    templates: Path | None,
    wrt: tuple[str, ...],
) -> None:
    """Write the gradient code of SPEC alone."""
    from symbackprop.rendering.render import own_templates

    with _mistakes_as_lines(), own_templates(templates):
        from symbackprop.pipeline import derive as derive_network
        from symbackprop.rendering.storage import write

        _known("--target", (target,), TARGETS)
        network = _load(spec, hidden, output_activation, cost)
        derivation = derive_network(network, wrt=wrt)
        text = derivation.module_source(target, code, update)
        if file is None:
            click.echo(text, nl=False)
        else:
            write(file, text)
            click.echo(file)
        _says_where_it_is_wrong(derivation)


@cli.command()
@_network_options
@click.option(
    "--seed", default=0, type=int, metavar="N", help="What random numbers are drawn from; 0 by default."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_wrt_option
def compare(
    spec: str,
    hidden: str | None,
    output_activation: str | None,
    cost: str | None,
    seed: int,
    as_json: bool,
    wrt: tuple[str, ...],
) -> None:
    """Compare the gradient code of SPEC with numeric references."""
    with _mistakes_as_lines():
        from symbackprop.checking.comparison import compare as compare_derivation
        from symbackprop.pipeline import derive as derive_network

        derivation = derive_network(_load(spec, hidden, output_activation, cost), wrt=wrt)
        report = compare_derivation(derivation, seed)
        click.echo(json.dumps(report.to_json(), indent=2) if as_json else report.table())
        _says_where_it_is_wrong(derivation)
        if not report.agrees:
            _says("symbackprop: the generated code and a reference differ")
            sys.exit(CHECK_FAILED)


LISTS = ("activations", "costs", "layers", "notations", "languages", "forms", "formats", "targets", "updates")


@cli.command("list")
@click.argument("what", metavar="|".join(LISTS))
def list_(what: str) -> None:
    """List what there is: one name a line, and what it is."""
    with _mistakes_as_lines():
        _known("list", (what,), LISTS)
        table = _listed(what)
        width = max(map(len, table))
        for name, description in table.items():
            click.echo(f"{name:<{width}}  {description}")


def _listed(what: str) -> dict[str, str]:
    if what == "notations":
        from symbackprop.notation.notation import notations

        return notations()
    if what == "languages":
        from symbackprop.notation.words import languages

        return languages()
    formulas = {"activations": ACTIVATIONS, "costs": COSTS}
    if what in formulas:
        return {name: f"{entry.formula}  ({entry.description})" for name, entry in formulas[what].items()}
    updates = {name: rule.description for name, rule in UPDATES.items()}
    listed = {"layers": LAYERS, "forms": FORMS, "formats": FORMATS, "targets": TARGETS, "updates": updates}
    return listed[what]


def _known(option: str, values: tuple[str, ...], known: Collection[str]) -> None:
    for value in values:
        if value not in known:
            raise SymbackpropError(_no_such(option, value, known))


def _no_such(where: str, name: str, known: Collection[str]) -> str:
    """A name that isn't known, those that are, and the one that may have been meant."""
    names = " and ".join(known) if len(known) == 2 else ", ".join(known)
    verb = "there is only" if len(known) == 1 else "there are"
    return f"{where}: {quoted(name)}: {verb} {names}{did_you_mean(name, known)}"


def _goes_with(option: str, values: tuple[str, ...], format_: str, formats: tuple[str, ...]) -> None:
    if values and format_ not in formats:
        raise SymbackpropError(f"{option}: this goes with --to {format_}")


def _all_of(first: Callable[[], T], *others: Callable[[], object]) -> T:
    """What the first gives, after all have been asked: what they refuse is raised together."""
    found: list[T] = []
    refused: list[Exception] = []
    for ask in (lambda: found.append(first()), *others):
        try:
            ask()
        except SymbackpropError as error:
            refused.append(error)
    if refused:
        raise ExceptionGroup("mistakes", refused)
    return found[0]


_MISSING = {
    "spec": "SPEC is missing: a TOML file, or widths such as 2-3-1",
    "what": f"say which list: there are {', '.join(LISTS)}",
}


def _usage_mistake(error: click.UsageError) -> str:
    """What is wrong with how the command was called, what there is, and where more is said."""
    command = error.ctx.command if error.ctx else cli
    name = "" if command is cli else f"{command.name}: "
    if isinstance(error, _NoCommand):
        return error.message
    if isinstance(error, click.NoSuchOption):
        options = sorted(option for p in command.params for option in p.opts if option.startswith("--"))
        return name + _no_such("option", error.option_name, [*options, "--help"])
    sentence = " ".join(error.format_message().split()).rstrip(".")
    if isinstance(error, click.MissingParameter) and error.param is not None:
        sentence = _MISSING.get(str(error.param.name), sentence)
    return f"{name}{sentence}; {' '.join(('symbackprop', *name.rstrip(': ').split()))} --help says more"


def _no_such_command(name: str) -> str:
    """What there is instead; a spec by itself is to be derived, most likely."""
    if Path(name).is_file() or name.endswith(".toml") or not set(name) - set("0123456789-"):
        return f"{quoted(name)} is a spec, and no command: symbackprop derive {name}"
    return _no_such("command", name, list(cli.commands))


def main() -> None:
    """The entry point of the command: click's own complaints take one line as well."""
    # Expressions live as long as the command, so looking for garbage among them is time lost, at the
    # end above all, when the system takes everything back at once.
    gc.set_threshold(200_000, 50, 50)
    atexit.register(gc.freeze)
    try:
        cli(prog_name="symbackprop", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(WRONG_INPUT)
    except click.UsageError as error:
        _says(f"symbackprop: {_usage_mistake(error)}")
        sys.exit(WRONG_INPUT)
    except click.Abort:
        _says("symbackprop: interrupted")
        sys.exit(130)
