"""Pictures: laws of the layout for every example and notation, well-formed SVG, TikZ that compiles."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path

import pytest
import sympy as sp

import symbackprop as sb
from symbackprop.layout.computation_graph import computation_graph
from symbackprop.layout.manner import Manner
from symbackprop.media.files import Order
from symbackprop.notation.notation import load_notation, notations
from symbackprop.notation.style_package import style_package
from symbackprop.pictures.drawing import TEXT_SIZES, Box, Circle, Drawing, Frame, Line, Point, bend, crosses
from symbackprop.pictures.layering import Cell, layered
from symbackprop.pictures.picture_files import Picture, network_svg, picture_files, pictures_of
from symbackprop.pictures.svg import key_parts, svg_picture
from symbackprop.rendering.latex_compiler import compiled
from symbackprop.rendering.render import template_folder

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.toml"))
TINY = ("1-1", "2-2-2", "1-1-2-1", "2-3-1", "3-3-2", "1-5-1")
WIDTHS = (*TINY, "5-2-5", "6-1-300", "3-5-4-3-2", "2-2-2-2-2-2-2", "784-128-64-10", "9-9")
GRAPHS = ("1-1", "computation-graph", "2-1", "1-1-1-1", "two-two-two", "softmax", "relu-hinge", "penalty")
EVERYDAY = ("two-two-two", "any-depth", "regularised")


def specs() -> list[object]:
    """Every example, and more widths; most of them are slow in all notations."""
    return [name if name in EVERYDAY[:2] else pytest.param(name, marks=pytest.mark.slow) for name in EXAMPLES]


PENALTY = {
    "name": "penalty",
    "input": {"size": 1},
    "layers": [{"size": 2, "activation": "tanh"}, {"size": 1, "activation": "linear"}],
    "cost": {"kind": "squared_error"},
    "penalty": {"l2": "lambda/(2*N)"},
}
OTHERS = {
    "softmax": {"size": 2, "activation": "softmax"},
    "relu-hinge": {"size": 1, "activation": "relu"},
}


@cache
def network(name: str) -> sb.Network:
    if name == "penalty":
        return sb.from_mapping(PENALTY)
    if name in OTHERS:
        cost = "cross_entropy" if name == "softmax" else "hinge"
        data = {"name": name, "input": {"size": 1}, "layers": [OTHERS[name]], "cost": {"kind": cost}}
        return sb.from_mapping(data)
    return sb.load(ROOT / "examples" / f"{name}.toml") if name in EXAMPLES else sb.load(name)


@cache
def picture(name: str, notation: str = "nielsen", which: str = "network") -> Picture:
    return pictures_of(sb.derive(network(name)), notation)[which]


def drawing(name: str, notation: str = "nielsen") -> Drawing:
    return picture(name, notation).drawing


def lines(of: Drawing, *styles: str) -> list[Line]:
    return [item for item in of.items if isinstance(item, Line) and (not styles or item.style in styles)]


def shrunk(frame: Frame) -> Frame:
    return frame.padded(-min(0.7, frame.width / 4), -min(0.7, frame.height / 4))


def straight(line: Line) -> Iterator[tuple[Point, Point]]:
    """Short straight pieces of a line, of a smooth one too."""
    for piece in line.pieces:
        for start, end in pairwise(piece):
            if line.smooth:
                yield from pairwise(bezier(start, *bend(start, end), end))
            else:
                yield start, end


def bezier(*points: Point, steps: int = 24) -> list[Point]:
    found = []
    for step in range(steps + 1):
        t = step / steps
        shares = [math.comb(3, n) * t**n * (1 - t) ** (3 - n) for n in range(4)]
        x, y = (
            sum(share * point[axis] for share, point in zip(shares, points, strict=True)) for axis in (0, 1)
        )
        found.append(Point(x, y))
    return found


def core(shape: Circle | Box) -> Frame:
    """The inside of a shape: the square in a circle, and a box without its edge."""
    width, height = shape.frame.width, shape.frame.height
    by = (0.16 * width, 0.16 * height) if isinstance(shape, Circle) else (1.0, 1.0)
    return shape.frame.padded(-by[0], -by[1])


# --- laws of every layout ---------------------------------------------------------------------------


def check_laws(of: Drawing) -> None:
    labels = list(of.labels)
    for one, two in combinations(labels, 2):
        assert not shrunk(one.frame).overlaps(shrunk(two.frame)), (one.text, two.text)
    shapes = [item for item in of.items if isinstance(item, Circle | Box)]
    for one, two in combinations(shapes, 2):
        assert not one.frame.overlaps(two.frame), (one, two)
    for label in labels:
        inside = [shape for shape in shapes if shape.frame.overlaps(shrunk(label.frame))]
        assert all(shape.frame.holds(label.frame) for shape in inside), label.text
    written = [(label.text, shrunk(label.frame)) for label in labels]
    solid = [(shape.key, core(shape)) for shape in shapes]
    for line in lines(of):
        near = [(what, frame) for what, frame in written if frame.overlaps(line.frame.padded(1))]
        near += [(what, frame) for what, frame in solid if frame.overlaps(line.frame.padded(1))]
        near = [] if line.style == "divider" else near
        for start, end in straight(line):
            hit = [what for what, frame in near if crosses(start, end, frame)]
            assert not hit, (line.style, hit)
    assert all(of.frame.holds(item.frame) for item in of.items)
    assert all(math.isfinite(number) for item in of.items for number in item.frame)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*WIDTHS, "penalty"])
def test_nothing_is_written_over_anything(name):
    check_laws(drawing(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", GRAPHS)
def test_nothing_is_written_over_anything_in_a_graph(name):
    shown = picture(name, which="graph")
    check_laws(shown.drawing)
    check_svg(shown.to_svg())


@pytest.mark.slow
@pytest.mark.parametrize("notation", notations())
@pytest.mark.parametrize("name", GRAPHS)
def test_every_graph_has_its_picture_in_every_notation(name, notation):
    shown = picture(name, notation, "graph")
    check_laws(shown.drawing)
    check_svg(shown.to_svg())


@pytest.mark.slow
@pytest.mark.parametrize("notation", notations())
@pytest.mark.parametrize("name", specs())
def test_every_example_has_its_picture_in_every_notation(name, notation):
    check_laws(drawing(name, notation))
    check_svg(picture(name, notation).to_svg())


@pytest.mark.slow
@pytest.mark.parametrize("notation", notations())
@pytest.mark.parametrize(
    "name", ("1-1", "2-2-2", *(pytest.param(name, marks=pytest.mark.slow) for name in TINY[2:]))
)
def test_every_parameter_of_a_tiny_network_is_written_once(name, notation):
    model = sb.forward_model(network(name))
    wanted = []
    for parameter in model.program.parameters:
        sizes = [int(model.with_sizes(size)) for size in parameter.dims]
        ranges = [[(i,) for i in range(1, n + 1)] for n in sizes]
        indices = ranges[0] if len(ranges) == 1 else [(*i, *j) for i in ranges[0] for j in ranges[1]]
        wanted += [f"{parameter.name}[{','.join(map(str, index))}]" for index in indices]
    written = [label.key for label in drawing(name, notation).labels if label.style in ("weight", "bias")]
    assert sorted(written) == sorted(wanted)


@pytest.mark.parametrize("name", [*WIDTHS, "any-depth", "regularised", "penalty"])
def test_the_way_back_is_the_way_there_reversed(name):
    """Every line between units that a derivative takes has one beside it that leads back, and no other."""
    of = drawing(name)
    inputs = [item.frame.padded(3) for item in of.of_style("input", "target", "bias")]
    forward = [
        line
        for line in lines(of, "edge", "weight", "wire")
        if not any(at(line, 0, frame) for frame in inputs)
    ]
    backward = lines(of, "backward")
    if name != "any-depth":
        assert len(forward) == len(backward) > 0
    for back in backward:
        near = [line for line in forward if apart(line.points, back.points[::-1]) < 5.0]
        assert len(near) == 1, back
        assert near[0].key == back.key


def at(line: Line, place: int, frame: Frame) -> bool:
    x, y = line.points[place]
    return frame.left <= x <= frame.right and frame.top <= y <= frame.bottom


def apart(one: tuple[Point, ...], two: tuple[Point, ...]) -> float:
    return max(math.dist(first, second) for first, second in zip(one, two, strict=True))


def test_a_line_is_led_around_what_is_written_on_it():
    line = Line((Point(0, 0), Point(10, 0)), "edge", around=(Frame(2, -1, 4, 1), Frame(3, -1, 6, 1)))
    assert line.pieces == ((Point(0, 0), Point(2, 0)), (Point(6, 0), Point(10, 0)))
    bent = Line((Point(0, 0), Point(4, 0), Point(4, 4)), "edge", around=(Frame(1, 3, 2, 4),))
    assert bent.pieces == (bent.points,)


# --- what is shown ----------------------------------------------------------------------------------


def keys(of: Drawing, style: str) -> list[str]:
    return [label.key for label in of.labels if label.style == style and label.key]


def test_a_wide_layer_shows_its_first_two_units_and_its_last():
    of = drawing("784-128-64-10")
    shown = {key for key in keys(of, "symbol") if key.startswith("a")}
    assert shown == {f"a{l}[{j}]" for l, n in ((1, 128), (2, 64), (3, 10)) for j in (1, 2, n)}
    assert [key for key in keys(of, "symbol") if key.startswith("x")] == ["x[1]", "x[2]", "x[784]"]


ARTICLE_WIDTH = 535.0
"""How wide a picture may be in an article on A4, in points."""


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES)
def test_no_text_is_smaller_than_eight_points_on_paper(example):
    """The pictures that an article has are scaled down as a whole where they are too wide."""
    notation = example if example in notations() else "nielsen"
    order = Order(sb.derive(network(example)), Manner(notation=notation))
    for of in order.drawings.values():
        scale = min(1.0, ARTICLE_WIDTH / of.frame.width)
        assert all(TEXT_SIZES[text.style] * scale > 7.9 for text in of.labels), (of.name, of.frame.width)


def test_a_wide_picture_shows_fewer_units_one_symbol_above_the_other():
    of = drawing("any-depth")
    shown = keys(of, "symbol")
    assert "z[l][1]" in shown and "z[l][2]" not in shown
    z, a = (next(i for i in of.labels if i.key == key) for key in ("z[l][1]", "a[l][1]"))
    assert z.frame.centre.x == pytest.approx(a.frame.centre.x, abs=1.0)
    assert z.frame.bottom <= a.frame.top + 1.0


def test_symbolic_sizes_show_their_symbols():
    layers = [{"size": size, "activation": "tanh"} for size in ("n_1", "n_2", 1)]
    spec = {"name": "t", "input": {"size": "n_0"}, "layers": layers, "cost": {"kind": "squared_error"}}
    of = pictures_of(sb.derive(sb.from_mapping(spec)), "nielsen")["network"].drawing
    assert {"x[n_0]", "z1[n_1]", "a2[n_2]", "a3[1]"} <= set(keys(of, "symbol"))
    assert {"W1[n_1,n_0]", "W3[1,n_2]"} <= set(keys(of, "weight"))


def test_any_depth_shows_the_layers_around_l():
    of = drawing("any-depth")
    for key in ("z[l-1][1]", "a[l][n_l]", "z[l+1][n_l+1]", "a[L][n_L]", "x[1]"):
        assert key in keys(of, "symbol"), key
    headings = [label.text for label in of.labels if label.style == "heading"]
    assert any(r"\sbplastlayer" in text for text in headings)


def test_many_layers_show_the_first_and_the_last_ones():
    shown = {key_parts(key)[0] for key in keys(drawing("2-2-2-2-2-2-2"), "symbol")}
    assert shown == {"x", "z1", "a1", "z5", "a5", "z6", "a6", "y"} | ({"C_x"} & shown)


def test_softmax_stands_between_pre_activations_and_activations():
    of = drawing("regularised")
    (box,) = (item for item in of.of_style("coupled") if isinstance(item, Box))
    places = {label.key: label.at.x for label in of.labels}
    assert places["z2[1]"] < box.frame.left < box.frame.right < places["a2[1]"]
    assert any(label.text == r"$\sbpfnsoftmax$" for label in of.labels)


def test_without_a_bias_there_is_none_in_the_picture():
    assert not list(drawing("jagtap").of_style("bias"))


def test_a_penalty_leads_from_every_weight_matrix_to_the_total_cost():
    of = drawing("penalty")
    ends = {line.key: line.points[1] for line in lines(of, "wire") if line.key in ("W1", "W2")}
    (penalty, total) = (next(i for i in of.items if isinstance(i, Circle) and i.key == k) for k in ("R", "C"))
    assert (
        all(math.dist(end, penalty.centre) < penalty.radius + 3 for end in ends.values()) and len(ends) == 2
    )
    starts = [line.points[0] for line in lines(of, "wire") if at(line, 1, total.frame.padded(3))]
    assert sorted(point.x > penalty.frame.right + 3 for point in starts) == [False, True]
    assert not {"R", "C"} & {item.key for item in drawing("1-1").items}


def test_a_penalty_is_a_second_path_in_the_graph():
    """Its derivative adds to that of each weight, and to no other."""
    graph = computation_graph(sb.forward_model(network("penalty")))
    assert graph.root.name == "C" and graph["C"].inputs == ("C_x", "R")
    for node in graph.parameters:
        paths = 1 if node.name.startswith("b") else 2
        assert len(graph.consumers[node.name]) == paths, node.name
    slope = graph.read_back(graph.derivatives["W2[1, 2]"])
    entry = next(e for e in slope.atoms(sp.Indexed) if str(e) == "W2[1, 2]")
    assert sp.expand(sp.diff(slope, sp.Symbol("lambda", real=True)) - entry) == 0, slope


def test_the_graph_of_a_penalty_is_printed_and_checked():
    document = sb.derive(network("penalty")).document(forms=("graph",))
    assert document.certificate.holds
    assert r"\sbppartial{\sbpcost}{\sbpweight{2}{1}{2}}" in document.to_latex()


def test_symbols_are_macros_so_that_the_notation_decides():
    for label in drawing("two-two-two").labels:
        for formula in re.findall(r"\$(.*?)\$", label.text):
            assert re.fullmatch(r"(\\sbp[a-z]+(\{[^{}]*\})*|\d+)+", formula), label.text


# --- the graph --------------------------------------------------------------------------------------


def test_every_node_of_the_graph_has_its_letter_above_and_its_derivative_below():
    of = picture("computation-graph", which="graph").drawing
    graph = computation_graph(sb.forward_model(network("computation-graph")))
    at_line = {line.key: line for line in lines(of, "wire") if line.key}
    letters = {label.key: label for label in of.labels if label.style == "letter"}
    slopes = {label.key: label for label in of.labels if label.style == "derivative"}
    keys = {node.name.replace(" ", "") for node in graph.nodes}
    assert letters.keys() == {node.name for node in graph.inner}
    assert slopes.keys() == keys - {"x[1]", "y[1]"}
    assert all(label.frame.bottom < at_line[key].frame.top for key, label in letters.items())
    assert all(label.frame.top > at_line[key].frame.bottom for key, label in slopes.items())


def test_the_graph_runs_from_left_to_right_along_its_edges():
    of = picture("two-two-two", which="graph").drawing
    graph = computation_graph(sb.forward_model(network("two-two-two")))
    ways = [line for line in lines(of, "wire") if line.arrow]
    assert len(ways) == sum(len(node.inputs) for node in graph.nodes)
    assert all(one.x <= two.x for line in ways for one, two in pairwise(line.points))
    ends = {(line.points[0], line.points[-1]) for line in ways}
    assert len(ends) == len(ways)


def test_a_derivative_that_is_short_is_worked_out_and_a_long_one_named():
    shown = {
        l.key: l.text
        for l in picture("computation-graph", which="graph").drawing.labels
        if l.style == "derivative"
    }
    assert shown["W3[1,1]"] == r"$-2 \sbpsymbol{c} \sbpsymbol{h}$"
    assert shown["W1[1,1]"] == r"$\sbppartial{\sbpexamplecost}{\sbpweight{1}{1}{1}}$"


def test_a_graph_in_words_says_what_each_node_is_computed_from():
    shown = picture("1-1", which="graph")
    described = check_svg(shown.to_svg())[1].text or ""
    assert described.endswith(" g = w^1_11 x; f = g+b^1_1; d = σ(f); c = d−y; C_x = c^2.")


def test_a_derivative_that_a_label_cannot_hold_is_named():
    data = {
        "name": "cases",
        "input": {"size": 2},
        "layers": [{"size": 1, "activation": "hard_sigmoid"}, {"size": 2, "activation": "log_softmax"}],
        "cost": {"kind": "squared_error"},
    }
    shown = pictures_of(sb.derive(sb.from_mapping(data)))["graph"]
    check_laws(shown.drawing)
    check_svg(shown.to_svg())


def test_numbers_of_the_spec_stand_beside_the_letters():
    of = picture("two-two-two", which="graph").drawing
    graph = computation_graph(sb.forward_model(network("two-two-two")))
    values = {label.key: float(label.text.strip("$")) for label in of.labels if label.style == "value"}
    slopes = {label.key: float(label.text.strip("$")) for label in of.labels if label.style == "derivative"}
    assert values.keys() == {node.name.replace(" ", "") for node in graph.nodes}
    assert values["C_x"] == pytest.approx(0.298371109, rel=5e-3)
    assert slopes["W2[1,1]"] == pytest.approx(0.082167041, rel=5e-3)
    assert slopes["W1[1,1]"] == pytest.approx(0.000438568, rel=5e-3)


def test_a_network_of_symbolic_size_has_no_graph():
    assert pictures_of(sb.derive(network("any-depth"))).keys() == {"network"}
    assert pictures_of(sb.derive(network("784-128-64-10"))).keys() == {"network"}


def test_a_layout_has_no_more_crossings_than_it_must():
    cells = [Cell(name, 10, 5, 5) for name in "abcdxyz"]
    edges = [("a", "y"), ("b", "x"), ("c", "y"), ("d", "x"), ("x", "z"), ("y", "z")]
    places = layered(cells, edges).places
    order = sorted("abcd", key=lambda name: places[name].y)
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset("ac"), frozenset("bd")}
    first, second = ("x", "y") if places["x"].y < places["y"].y else ("y", "x")
    assert {edge[1] for edge in edges if edge[0] in order[:2]} == {first}
    assert places["z"].y == pytest.approx((places[first].y + places[second].y) / 2, abs=0.5)


def test_a_node_that_is_used_twice_stands_between_its_uses():
    cells = [Cell(name, 10, 5, 5) for name in ("a", "b", "c", "x", "y", "z")]
    edges = [("a", "x"), ("b", "x"), ("a", "y"), ("c", "y"), ("x", "z"), ("y", "z")]
    places = layered(cells, edges).places
    assert min(places["b"].y, places["c"].y) < places["a"].y < max(places["b"].y, places["c"].y)


def test_cells_of_a_layer_keep_the_room_that_they_need():
    cells = [Cell("a", 10, 5, 30), Cell("b", 20, 12, 5), Cell("c", 5, 8, 8), Cell("z", 10, 5, 5)]
    places = layered(cells, [("a", "z"), ("b", "z"), ("c", "z")]).places
    down = sorted(cells[:3], key=lambda cell: places[cell.name].y)
    for above, below in pairwise(down):
        room = places[below.name].y - places[above.name].y
        assert room >= above.down + below.up - 1e-6


# --- SVG --------------------------------------------------------------------------------------------


def check_svg(text: str) -> ET.Element:
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("role") == "img"
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert set(root.get("aria-labelledby", "").split()) == set(ids)
    shown = "".join(element.text or "" for element in root.iter() if element.tag.endswith(("text", "tspan")))
    assert not set(shown) & set("\\$^_{}"), shown
    assert "nan" not in text and "inf" not in text
    assert not re.search(r"(href|src|url\(|@import)", text)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("name", WIDTHS)
def test_svg_is_well_formed_and_needs_nothing_from_outside(name):
    check_svg(picture(name).to_svg())


def test_svg_says_which_entry_a_place_shows():
    root = check_svg(network_svg(sb.derive(network("two-two-two"))))
    shown = {(element.get("data-sbp"), element.get("data-sbp-entry")) for element in root.iter()}
    assert {("W2", "2,1"), ("z1", "1"), ("a2", "2"), ("delta1", "2"), ("b2", "1"), ("C_x", None)} <= shown


def test_free_text_of_a_spec_is_escaped_in_svg_and_tikz():
    data = {
        "name": "odd",
        "title": r"<script>alert(1)</script> & \input{x} % ]]> ü",
        "input": {"size": 1},
        "layers": [{"size": 1, "activation": "tanh"}],
        "cost": {"kind": "squared_error"},
    }
    shown = pictures_of(sb.derive(sb.from_mapping(data)))["network"]
    root = check_svg(shown.to_svg())
    assert "<script>" in (root[0].text or "")
    assert shown.to_tikz().isascii()
    assert all(line.startswith("%") for line in shown.to_tikz().splitlines() if r"\input" in line)


def palette(block: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (?:var\(--sbp-\w+, )?(#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_colour_stands_out_in_light_dark_and_print():
    css = (template_folder() / "picture.css.jinja").read_text("utf-8")
    blocks = [palette(block) for block in css.split("@media")[:3]]
    assert all(block.keys() == {"ink", "paper", "faint", "fill", "second"} for block in blocks)
    for block in blocks:
        for ground in ("paper", "fill"):
            assert contrast(block["ink"], block[ground]) >= 7
            assert contrast(block["second"], block[ground]) >= 4.5
            assert contrast(block["faint"], block[ground]) >= 3


# --- TikZ -------------------------------------------------------------------------------------------


def test_the_styles_of_the_package_are_those_that_drawings_use():
    style = (template_folder() / "picture_styles.sty.jinja").read_text("utf-8")
    css = svg_picture(drawing("two-two-two"))
    for name, size in TEXT_SIZES.items():
        (found,) = re.findall(rf"\{{sbp {name} text\}}\{{font=\\sbp@size\{{([\d.]+)\}}", style)
        assert float(found) == size, name
    every = [drawing(name) for name in (*WIDTHS, *EVERYDAY)]
    every += [picture(name, which="graph").drawing for name in GRAPHS]
    used = {item.style for one in every for item in one.items}
    for name in used - TEXT_SIZES.keys():
        assert f"{{sbp {name}}}" in style, name
    for name in used:
        assert re.search(rf"\.sbp-{name}\b", css), name


def typeset(source: str, folder: Path, notation: str = "nielsen") -> str:
    """The log of a document that compiles."""
    style = style_package(load_notation(notation))
    (folder / "symbackprop.sty").write_text(style, "ascii")
    (folder / "t.tex").write_text(source, "ascii")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("notation", notations())
def test_every_picture_compiles_and_fits_on_its_page(notation, tmp_path, tex):
    """All of them in one article: no error, no overfull box, none wider than the text."""
    names = (*EXAMPLES, *WIDTHS) if notation == "nielsen" else EVERYDAY
    shown = [picture(name, notation).to_tikz() for name in names]
    shown += [
        picture(name, notation, "graph").to_tikz()
        for name in (GRAPHS if notation == "nielsen" else GRAPHS[:2])
    ]
    body = "\n\\clearpage\n".join(f"\\noindent\n{text}" for text in shown)
    source = "\n".join(
        [
            r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{lmodern}",
            r"\usepackage{symbackprop}\usepackage{tikz}\begin{document}",
            body,
            r"\end{document}",
        ]
    )
    log = typeset(source, tmp_path, notation)
    assert "Overfull" not in log and "Underfull" not in log and "Warning: Font" not in log
    assert f"({len(shown)} pages" in log.replace("\n", "")


@pytest.mark.slow
def test_a_picture_on_a_page_of_its_own(tex):
    shown = picture("two-two-two")
    assert shown.to_pdf().startswith(b"%PDF")
    style = style_package(shown.notation)
    source = "\\pdfobjcompresslevel=0\n" + shown.to_standalone()
    pdf = compiled({"symbackprop.sty": style, "t.tex": source}, "t.tex", passes=1)
    (box,) = set(re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf))
    wide, high = (float(number) * 72.27 / 72 for number in box)
    assert (wide, high) == pytest.approx((shown.drawing.frame.width, shown.drawing.frame.height), abs=1.0)


@pytest.mark.slow
def test_a_very_wide_picture_is_turned_where_pages_are_high(tmp_path, tex):
    """The graph of the 2-2-2 network, measured after it has been fitted into an article and onto a slide."""
    shown = picture("two-two-two", which="graph").to_tikz()
    sizes = {}
    for paper in ("a4paper", "paperwidth=12.8cm,paperheight=9.6cm"):
        source = "\n".join(
            [
                rf"\documentclass{{article}}\usepackage[{paper},margin=1cm]{{geometry}}",
                r"\usepackage{tikz}\usepackage{symbackprop}\begin{document}",
                r"\setbox9=\hbox{" + shown + r"}\typeout{B:\the\wd9:\the\dimexpr\ht9+\dp9\relax}",
                r"\end{document}",
            ]
        )
        log = typeset(source, tmp_path)
        sizes[paper] = [float(number) for number in re.findall(r"B:([\d.]+)pt:([\d.]+)pt", log)[0]]
    (page_wide, page_high), (slide_wide, slide_high) = sizes.values()
    assert page_high > 3 * page_wide and page_high < 842 - 57
    assert slide_wide > 3 * slide_high and slide_wide < 365 - 57 + 1


@pytest.mark.slow
@pytest.mark.parametrize("order", [("tikz", "symbackprop"), ("symbackprop", "tikz")])
def test_a_lecturers_styles_and_macros_win(order, tmp_path, tex):
    packages = "".join(rf"\usepackage{{{name}}}" for name in order)
    source = "\n".join(
        [
            r"\documentclass{article}",
            packages,
            r"\tikzset{sbp neuron/.style={draw, fill=yellow}}\renewcommand{\sbpactletter}{h}",
            r"\begin{document}",
            r"\pgfkeysgetvalue{/tikz/sbp neuron/.@cmd}{\found}\typeout{N:\meaning\found}",
            r"\pgfkeysgetvalue{/tikz/sbp cost/.@cmd}{\found}\typeout{C:\meaning\found}",
            picture("2-2-2").to_tikz(),
            r"\end{document}",
        ]
    )
    log = typeset(source, tmp_path).replace("\n", "")
    assert re.search(r"N:.{0,9}macro:.{0,40}fill=yellow", log)
    assert re.search(r"C:.{0,9}macro:.{0,40}fill=black!10", log)


def test_a_fragment_of_formulas_still_needs_no_tikz(tmp_path, tex):
    source = r"\documentclass{article}\usepackage{symbackprop}\begin{document}$\sbpact{1}{j}$\end{document}"
    assert "pgf" not in typeset(source, tmp_path)


# --- files ------------------------------------------------------------------------------------------


def test_picture_files_are_named_after_the_network():
    files = picture_files(sb.derive(network("two-two-two")))
    assert {"two-two-two-network.svg", "two-two-two-network.tex"} <= files.keys()
    assert files == picture_files(sb.derive(network("two-two-two")))


def test_without_pdflatex_a_pdf_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(sb.MissingProgram, match="apt-get install"):
        picture("2-2-2").to_pdf()


def test_an_error_of_latex_is_one_sentence(tex):
    broken = r"\documentclass{article}\begin{document}\nonsense\end{document}"
    with pytest.raises(sb.SymbackpropError, match=r"pdflatex stopped: ! Undefined control sequence"):
        compiled({"t.tex": broken}, "t.tex")
