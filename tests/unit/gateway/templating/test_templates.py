"""Templates in a part of Go's language."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.templating.syntax import TemplateError
from services.gateway.templating.templates import Template, TooLarge

DATA: dict[str, Any] = {
    "name": 'a"b',
    "list": [1, 2.0, {"x": "y"}],
    "none": None,
    "no": False,
    "object": {"b": 1, "a-c": "dash"},
    "text": "plain",
}


def _filled(source: str, data: Any = DATA) -> str:
    return Template(source).fill(data, 10_000)


@pytest.mark.parametrize(
    ("source", "filled"),
    [
        ("plain } text", "plain } text"),
        ("<{{.text}}> <{{ .object.b }}> <{{.absent}}> <{{.text.deeper}}> <{{.none}}>", "<plain> <1> <> <> <>"),
        ("{{.name}}", 'a"b'),
        ("{{.list}}", '[1,2.0,{"x":"y"}]'),
        ("{{index .list 1}}{{index .list 9}}", "2"),
        ("a {{- .text -}} b", "aplainb"),
        ("a{{/* a comment }} in it */}}b", "ab"),
        ("{{if .text}}yes{{else}}no{{end}}{{if .no}}yes{{else}}no{{end}}", "yesno"),
        ("{{if .no}}1{{else if .none}}2{{else if .list}}3{{else}}4{{end}}", "3"),
        ("{{range .list}}({{.}}){{end}}", '(1)(2)({"x":"y"})'),
        ("{{range $i, $e := .list}}{{if $i}},{{end}}{{$i}}={{$e}}{{end}}", '0=1,1=2,2={"x":"y"}'),
        ("{{range $k, $v := .object}}{{$k}}={{$v}};{{end}}", "a-c=dash;b=1;"),
        ("{{range .absent}}x{{else}}empty{{end}}", "empty"),
        ("{{range .list}}{{$.text}}{{end}}", "plainplainplain"),
        ("{{with .object}}{{.b}}{{end}}{{with $o := .object}}{{$o.b}}{{end}}{{with .no}}x{{else}}none{{end}}", "11none"),
        ("{{$x := .object}}{{$x.b}}{{$x = .text}}{{$x}}", "1plain"),
        ("{{$x := 1}}{{if .text}}{{$x = 2}}{{end}}{{$x}}{{range .list}}{{$x := 3}}{{$x = 4}}{{end}}{{$x}}", "22"),
        ("{{$first := true}}{{range .list}}{{if $first}}{{$first = false}}{{else}},{{end}}({{.}}){{end}}", '(1),(2),({"x":"y"})'),
        ("{{(index .list 2).x}}{{index .object `a-c`}}", "ydash"),
        ('{{if eq .text "plain" }}=={{end}}{{if ne .object.b 2}}!={{end}}{{if and .text (not .no)}}&&{{end}}', "==!=&&"),
        ("{{if or .no .none}}||{{else}}neither{{end}}{{if lt .object.b 2}}<{{end}}{{if gt .text 2}}>{{end}}", "neither<"),
        ("{{len .list}}{{len .text}}{{len .none}}", "350"),
        ('{{.name | html}}{{print .object.b "-" .text}}', "a&#34;b1-plain".replace("#34", "quot")),
        ('{{"{{"}}', "{{"),
    ],
)
def test_a_template_writes(source: str, filled: str) -> None:
    assert _filled(source) == filled


def test_texts_are_escaped_where_json_is_written() -> None:
    assert json.loads(_filled('{"name": "{{.name}}", "all": {{. | jsonMarshal}}, "list": {{.list}}}'))["name"] == 'a"b'
    assert json.loads(_filled('{{/* first */}} {{if .text}}\n [ "{{.name}}" ] {{end}}')) == ['a"b']


def test_what_is_not_a_text_does_not_end_a_json_string() -> None:
    source = '{"\\"a": "{{.list}}", "b": "<{{.object}}>", "c": {{.list}}, "d": {{"\\""}}{{.list}}{{"\\""}}, "e": {{.object | jsonMarshal}}}'
    listed = '[1,2.0,{"x":"y"}]'
    expected = {'"a': listed, "b": '<{"b":1,"a-c":"dash"}>', "c": [1, 2.0, {"x": "y"}], "d": listed, "e": DATA["object"]}
    assert json.loads(_filled(source)) == expected


@pytest.mark.parametrize(
    "source",
    [
        '{{if .no}}{{end}}{"name": "{{.name}}"}',
        '{{if .no}}none{{else}}{"name": "{{.name}}"}{{end}}',
        '{{if .no}}none{{else if .none}}{{.none}}{{else}}{"name": "{{.name}}"}{{end}}',
        '{{range .none}}{{.}}{{end}}{{with .text}}{{$x := .}}{{end}} {"name": "{{.name}}"}',
    ],
)
def test_texts_are_escaped_whichever_branch_writes_json(source: str) -> None:
    assert json.loads(_filled(source)) == {"name": 'a"b'}


def test_texts_are_not_escaped_where_something_else_is_written() -> None:
    assert _filled("{{if .no}}no{{else}}b{{end}}{ {{.name}} < }") == 'b{ a"b < }'


def test_a_mark_of_the_encoding_does_not_switch_escaping_off() -> None:
    """Editors write one before a text, and templates come as base64 of files."""
    assert _filled('\ufeff{"a": "{{.name}}"}') == '\ufeff{"a": "a\\"b"}'
    assert _filled("\ufeff\n<a>{{.name}}</a>") == "\ufeff\n<a>a&quot;b</a>"


def test_texts_are_escaped_where_xml_is_written() -> None:
    data = {"name": '</b>&"', "list": ["<"], "none": None, "object": {"a": {"-b": "<", "c": ["x", None]}}}
    source = "<b n='{{.name}}'>{{.list}}{{`<i/>`}}{{.name | html}}{{.list | jsonMarshal}}{{.none}}{{.object | xmlMarshal}}</b>"
    listed = "[&quot;&lt;&quot;]"
    assert Template(source).fill(data, 1000) == (
        f"<b n='&lt;/b&gt;&amp;&quot;'>{listed}<i/>&lt;/b&gt;&amp;&quot;{listed}<a b=\"&lt;\"><c>x</c><c/></a></b>"
    )
    assert Template("{{if .none}}text{{else}}\n <b>{{.name}}{{end}}").fill(data, 1000) == "\n <b>&lt;/b&gt;&amp;&quot;"


def test_xml_within_json_stays_a_text() -> None:
    assert json.loads(_filled('{"xml": "{{.object | xmlMarshal}}"}')) == {"xml": "<doc><a-c>dash</a-c><b>1</b></doc>"}


@given(st.text())
def test_no_text_breaks_out_of_a_json_string(text: str) -> None:
    assert json.loads(Template('{"a": "{{.text}}", "b": {{.text | jsonMarshal}}}').fill({"text": text}, 100_000)) == {"a": text, "b": text}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{foo .x}}", "`foo` is not a function"),
        ("{{template `x`}}", "`template` is not a function"),
        ("\n\n{{if .x}}", "line 3: `if` has no `end`"),
        ("{{range .x}}{{else}}{{else}}{{end}}", "has no `end`"),
        ("a{{end}}", "not understood"),
        ("{{.x", "not closed"),
        ('{{.x "}}', "not closed"),
        ("{{" + '""' * 50_000, "not closed"),
        ("{{" + "``" * 50_000, "not closed"),
        ("{{01}}", "not understood"),
        ("{{" + "9" * 5000 + "}}", "not understood"),
        ("{{$y}}", "`$y` has no value"),
        ("{{$y = 1}}", "not understood"),
        ("{{range $a, $b, $c := .x}}{{end}}", "not understood"),
        ("{{if .x}}{{$y := 1}}{{end}}{{$y}}", "`$y` has no value"),
        ("{{eq 1}}", "is given 1 values"),
        ("{{if}}{{end}}", "not understood"),
        ("{{}}", "not understood"),
        ("{{.a | .b}}", "not understood"),
        ("{{.a.0}}", "not understood"),
        ("{{(.a}}", "not understood"),
        ("{{" + "(" * 50 + ".a" + ")" * 50 + "}}", "not understood"),
        ("{{if .a}}" * 30 + "{{end}}" * 30, "nested"),
        ("{{if .a}}" + "{{else if .a}}" * 30 + "{{end}}", "nested"),
        ("x" * 300_000, "larger than"),
    ],
)
def test_what_is_not_understood_is_told_with_its_line(source: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said.replace("$", r"\$").replace("(", r"\(")):
        Template(source)


@given(st.text(st.sampled_from('{}.|$"`() \n-ifenrg:=,x0/*'), max_size=60))
def test_any_text_is_a_template_or_a_template_error(source: str) -> None:
    try:
        template = Template(source)
    except TemplateError:
        return
    assert isinstance(template.fill(DATA, 10_000), str)


def test_what_is_filled_is_bounded() -> None:
    many = {"list": list(range(2000))}
    with pytest.raises(TooLarge):
        Template("{{$x := `ab`}}{{range .list}}{{$x = print $x $x}}{{end}}").fill(many, 10_000)
    with pytest.raises(TooLarge):
        Template("{{range .list}}{{range $.list}}{{if jsonMarshal $}}{{end}}{{end}}{{end}}").fill(many, 10_000, 100_000)
    with pytest.raises(TooLarge):
        Template("{{range .list}}0123456789{{end}}").fill(many, 10_000)
    empty: dict[str, Any] = {"list": [1] * 2000, "none": [[]] * 2000}
    with pytest.raises(TooLarge):  # what is gone through and writes nothing is work as well
        Template("{{range .list}}{{if xmlMarshal $}}{{end}}{{end}}").fill(empty, 10_000)
    with pytest.raises(TooLarge):
        Template("{{range .list}}{{range $.list}}{{range $.list}}{{end}}{{end}}{{end}}").fill(many, 10_000)
