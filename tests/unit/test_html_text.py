"""HTML pages: what a reader sees, in lines, and nothing that is hidden."""

import pytest
from quorum.document.html_text import html_text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>seen<span hidden>not</span></p>", "seen"),
        ('<p>seen<span style="display:none">not</span></p>', "seen"),
        ('<p>seen<span style="color:red; DISPLAY : none !important">not</span></p>', "seen"),
        ('<p>seen<span style="display:/* x */none">not</span></p>', "seen"),
        ('<p>seen<span style="visibility:hidden">not</span></p>', "seen"),
        ('<p>seen<span style="opacity:0">not</span></p>', "seen"),
        ('<p>seen<span style="font-size: 0px !important; color:red">not</span></p>', "seen"),
        ('<p style="opacity:0.5; font-size:0.9em">seen</p>', "seen"),
        ("<p>seen<template>not</template><noscript>nor</noscript></p>", "seen"),
        ("<p>seen<!-- not --><script>nor()</script></p>", "seen"),
        ("<dialog>closed</dialog><dialog open>asks</dialog>", "asks"),
        ('<p hidden="until-found">found by searching</p>', "found by searching"),
        ('<p style="display:block">shown</p>', "shown"),
        ("<p>seen<input type=hidden value=not></p>", "seen"),
        ("<p>seen<?php echo 'not' ?> and read<?not></p>", "seen and read"),
    ],
)
def test_what_is_hidden_is_left_out(page: str, text: str) -> None:
    assert html_text(page) == text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        pytest.param(
            "<details><summary>More</summary>Opens</details>", "More\nOpens", id="what opens"
        ),
        pytest.param("<select><option>Red<option>Blue</select>", "Red Blue", id="options"),
        pytest.param("<button>Yes</button><button>No</button>", "Yes No", id="buttons"),
        pytest.param("Name <input value='Jo'> ok", "Name Jo ok", id="an input's value"),
        pytest.param("<input type=checkbox checked>Terms", "[x] Terms", id="a ticked box"),
        pytest.param("<ol><li>One<li>Two</ol>", "1. One\n2. Two", id="numbers of a list"),
        pytest.param("<ol start=4><li>a<li value=9>b<li>c</ol>", "4. a\n9. b\n10. c", id="start"),
        pytest.param("<ol reversed><li>a<li>b</ol>", "2. a\n1. b", id="reversed"),
        pytest.param("<ol type=a><li>x<li>y</ol>", "a. x\nb. y", id="letters"),
        pytest.param("<ol type=I><li>x<li>y</ol>", "I. x\nII. y", id="Roman numbers"),
        pytest.param(
            "<ul><li>a<ol><li>b</ol><li>c</ul>", "- a\n  1. b\n- c", id="a list in a list"
        ),
        pytest.param(
            "<table><tr><th>a<th>b<tr><td rowspan=2>1<td>2<tr><td>3</table>",
            "a\tb\n1\t2\n\t3",
            id="cells that span rows",
        ),
        pytest.param(
            "<table><tr><td colspan=2>a<td>b<tr><td>1<td>2<td>3</table>",
            "a\t\tb\n1\t2\t3",
            id="cells that span columns",
        ),
        pytest.param("<table><tr><td>a<td><td>c</table>", "a\t\tc", id="an empty cell"),
        pytest.param("price <del>100</del> <ins>80</ins>", "price ~~100~~ 80", id="struck out"),
        pytest.param("10<sup>6</sup> m<sup>2</sup>", "10⁶ m²", id="exponents"),
        pytest.param("CO<sub>2</sub>, v<sub>max</sub>", "CO₂, v_max", id="subscripts"),
        pytest.param("the 3<sup>rd</sup> time", "the 3rd time", id="an ordinal"),
        pytest.param("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby>", "漢(かん)", id="ruby"),
        pytest.param("<q>so</q> he said", "“so” he said", id="a quotation"),
        pytest.param("a&nbsp;b&shy;c&#8203;d", "a\xa0bcd", id="characters that show nothing"),
        pytest.param("<p>one<p>two<br>three", "one\n\ntwo\nthree", id="paragraphs and lines"),
    ],
)
def test_what_is_shown_is_read_as_it_stands(page: str, text: str) -> None:
    assert html_text(page) == text
