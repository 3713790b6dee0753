"""Go templates. Expected texts were taken from Docker's CLI, `inspect -f`, on a container of the same content."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.cli.output.inspected import parse_template, through
from corten.cli.output.shapes import CONTAINER, NETWORK
from corten.cli.template.evaluator import Template
from corten.cli.template.functions import DOCKER
from corten.cli.template.parser import TemplateError

SUBJECT = {
    "Id": "df24c1",
    "Created": "2026-11-24T04:03:00.939203849Z",
    "Path": "sh",
    "Args": ["-c", 'echo "x<y>&"'],
    "State": {"Status": "created", "Running": False, "Pid": 0, "ExitCode": 0, "Error": "", "StartedAt": "0001-01-01T00:00:00Z"},
    "Name": "/corten-c-1",
    "ExecIDs": None,
    "HostConfig": {
        "Binds": None,
        "LogConfig": {"Type": "json-file", "Config": {}},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "NanoCpus": 0,
        "PidsLimit": None,
        "OomKillDisable": False,
    },
    "Mounts": [],
    "Config": {
        "Env": ["A=b", "PATH=/bin"],
        "Cmd": ["sh", "-c", 'echo "x<y>&"'],
        "Volumes": None,
        "Entrypoint": None,
        "Labels": {"a": "b", "x": "y"},
    },
    "NetworkSettings": {"Ports": {}, "Networks": {"bridge": {"IPAMConfig": None, "IPAddress": ""}}},
}
RAW = json.dumps(SUBJECT).encode()

GOOD = [
    ("{{.State.Health}}", "<nil>"),
    ("{{if .State.Health}}x{{end}}", ""),
    ("{{.Config.Labels.foo}}", "<no value>"),
    ("{{.Config.Labels.foo.bar}}", "<no value>"),
    ('{{index .Config.Labels "foo"}}|', "|"),
    ('{{index .Config.Labels "a"}}|', "b|"),
    ("{{.NetworkSettings.Networks.foo.IPAddress}}", "<no value>"),
    ('{{index .NetworkSettings.Networks "foo"}}', "<nil>"),
    ('{{index .NetworkSettings.Ports "80/tcp"}}', "<no value>"),
    ("{{.NetworkSettings.Ports}}", "map[]"),
    ("{{.HostConfig.Binds}}", "[]"),
    ("{{.Config.Volumes}}", "map[]"),
    ("{{.Config.Entrypoint}}", "[]"),
    ("{{.Config.Cmd}}", '[sh -c echo "x<y>&"]'),
    ("{{json .Config.Cmd}}", '["sh","-c","echo \\"x<y>&\\""]'),
    ("{{json .ExecIDs}}", "null"),
    ("{{.State}}", "{created false 0 0  0001-01-01T00:00:00Z <nil>}"),
    ("{{.HostConfig.RestartPolicy}}", "{no 0}"),
    ("{{.HostConfig.LogConfig.Config}}{{.HostConfig.LogConfig}}", "map[]{json-file map[]}"),
    ("{{.ID}} {{.Id}}", "df24c1 df24c1"),
    ("{{.HostConfig.PidsLimit}} {{.HostConfig.OomKillDisable}} {{.SizeRw}}", "<nil> false <nil>"),
    ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}", "a=b x=y "),
    ("{{range .Config.Env}}{{println .}}{{end}}", "A=b\nPATH=/bin\n"),
    ("{{len .Config.Env}}", "2"),
    ("{{$x := .Name}}{{$x}}", "/corten-c-1"),
    ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
    ("{{slice .Name 1}}", "corten-c-1"),
    ('{{printf "%d" .Name}}', "%!d(string=/corten-c-1)"),
    ('{{printf "%s-%d" .Name .State.Pid}}', "/corten-c-1-0"),
    ('{{printf "%s"}}', "%!s(MISSING)"),
    ("{{eq .State.Pid 0}}", "true"),
    ('{{eq .State.Pid "0"}}', "true"),
    ("{{lt .Name .State.Pid}}", "true"),
    ('{{join .Config.Cmd ","}}', 'sh,-c,echo "x<y>&"'),
    ('{{split .Name "o"}}', "[/c rten-c-1]"),
    ('{{upper .Name}} {{title .Name}} {{lower "ABC"}}', "/CORTEN-C-1 /Corten-C-1 abc"),
    ("{{truncate .Name 3}} {{pad .Name 2 3}}|", "/co   /corten-c-1   |"),
    ('{{json .Config.Labels}}{{json .Name}}', '{"a":"b","x":"y"}"/corten-c-1"'),
    ('{{"a" | printf "%s%s" "b"}}', "ba"),
    (" {{- .Name -}} x", "/corten-c-1x"),
    ("{{/* c */}}y", "y"),
    ("a {{- /* c */ -}} b", "ab"),
    ("{{with .Name}}{{.}}{{else}}n{{end}}", "/corten-c-1"),
    ("{{with .State.Error}}{{.}}{{else}}none{{end}}", "none"),
    ("{{if .State.Running}}a{{else if .Name}}b{{else}}c{{end}}", "b"),
    ('{{not .Name}} {{and .Name .Id}} {{or "" .Name}}', "false df24c1 /corten-c-1"),
    ('{{1.5}} {{1e3}} {{0x10}} {{"\\x41\\n"}} {{`raw`}} {{true}}', "1.5 1000 16 A\n raw true"),
    ('{{print 1 2 "a" "b" 3}}', "1 2ab3"),
    ('{{println 1 "a"}}', "1 a\n"),
    ('{{html "<a>"}} {{js "a\'b"}} {{urlquery "a b"}}', "&lt;a&gt; a\\'b a+b"),
    ("{{.Config.Labels | len}}", "2"),
    ("{{range $i, $e := .Config.Env}}{{if $i}},{{end}}{{$e}}{{else}}none{{end}}", "A=b,PATH=/bin"),
    ("{{range .Mounts}}x{{else}}none{{end}}", "none"),
    ("{{range 3}}{{.}}{{end}}", "012"),
    ('{{define "x"}}D{{.Name}}{{end}}{{template "x" .}}', "D/corten-c-1"),
    ('{{block "y" .}}B{{end}}', "B"),
    ("{{range .Config.Cmd}}{{break}}{{end}}", ""),
    ("{{range 4}}{{if eq . 2}}{{continue}}{{end}}{{.}}{{end}}", "013"),
    ("{{.State.Error}}|{{.State.Running}}|{{.State.ExitCode}}", "|false|0"),
    ("{{.Path}} {{.Args}}", 'sh [-c echo "x<y>&"]'),
    ('{{printf "%v %T %q" .Args .Name .Name}}', '[-c echo "x<y>&"] string "/corten-c-1"'),
    ('{{printf "%5d|%-5d|%05d|%x|%5.1f|%t|%c|%+d" 42 42 42 255 3.14159 true 65 7}}', "   42|42   |00042|ff|  3.1|true|A|+7"),
    ('{{printf "%[2]s %[1]s" "a" "b"}} {{printf "%%"}} {{printf "%s" "a" "b"}}', "b a % a%!(EXTRA string=b)"),
    ("x", "x"),
    ("", ""),
]  # fmt: skip


@pytest.mark.parametrize(("template", "expected"), GOOD)
def test_result_is_dockers(template: str, expected: str) -> None:
    assert through(parse_template(template), RAW, CONTAINER) == expected


AT = 'template: :1:{}: executing "" at <{}>: '
EXECUTION_ERRORS = [
    ("{{.Foo}}", AT.format(2, ".Foo") + 'map has no entry for key "Foo"'),
    ("{{.State.Foo}}", AT.format(8, ".State.Foo") + 'map has no entry for key "Foo"'),
    ("{{.State.Health.Status}}", AT.format(8, ".State.Health.Status") + 'map has no entry for key "Health"'),
    ('{{(index .NetworkSettings.Networks "foo").IPAddress}}', AT.format(35, '"foo"') + 'nil data; no entry for key "IPAddress"'),
    ("{{len .State.Health}}", AT.format(12, ".State.Health") + 'map has no entry for key "Health"'),
    ("{{index .Config.Env 5}}", AT.format(2, "index .Config.Env 5") + "error calling index: index out of range: 5"),
    ('{{index .Config.Env "a"}}', AT.format(2, 'index .Config.Env "a"') + "error calling index: cannot index slice/array with type string"),
    ("{{.Config.Cmd.Foo}}", AT.format(9, ".Config.Cmd.Foo") + "can't evaluate field Foo in type interface {}"),
    ("{{.Name.Foo}}", AT.format(7, ".Name.Foo") + "can't evaluate field Foo in type interface {}"),
    ("{{range .Name}}{{end}}", AT.format(8, ".Name") + "range can't iterate over /corten-c-1"),
    ("{{len 3}}", AT.format(2, "len 3") + "error calling len: len of type int"),
    ("{{slice .Name 1 100}}", AT.format(2, "slice .Name 1 100") + "error calling slice: index out of range: 100"),
    ("{{eq .Name}}", AT.format(2, "eq .Name") + "error calling eq: missing argument for comparison"),
    ('{{ne .Name "x" "y"}}', AT.format(2, "ne") + "wrong number of args for ne: want 2 got 3"),
    ('{{join .Name ","}}', AT.format(7, ".Name") + "wrong type for value; expected []string; got string"),
    ("{{nil}}", AT.format(2, "nil") + "nil is not a command"),
    ("{{.Name 3}}", AT.format(2, ".Name") + "Name is not a method but has arguments"),
    ("{{3 4}}", AT.format(2, "3") + "can't give argument to non-function 3"),
    ('{{template "x"}}', AT.format(11, '{{template "x"}}') + 'template "x" not defined'),
    (
        '{{index (index .NetworkSettings.Ports "80/tcp") 0}}',
        AT.format(2, 'index (index .NetworkSettings.Ports "80/tcp") 0') + "error calling index: index of untyped nil",
    ),
]


@pytest.mark.parametrize(("template", "expected"), EXECUTION_ERRORS)
def test_execution_error_is_dockers(template: str, expected: str) -> None:
    with pytest.raises(TemplateError) as raised:
        through(parse_template(template), RAW, CONTAINER)
    assert str(raised.value) == "template parsing error: " + expected


SYNTAX_ERRORS = [
    ("{{foo .Name}}", 'function "foo" not defined'),
    ("{{.Name", "unclosed action"),
    ("{{if .Name}}", "unexpected EOF"),
    ("{{end}}", "unexpected {{end}}"),
    ("{{else}}", "unexpected {{else}}"),
    ("{{.Name | foo}}", 'function "foo" not defined'),
    ("{{$x}}", 'undefined variable "$x"'),
    ("{{.Name.}}", "unexpected <.> in operand"),
    ("{{}}", "missing value for command"),
    ("{{ .Name ! }}", 'unexpected "!" in operand'),
    ('{{"abc}}', "unterminated quoted string"),
    ("{{(.Name}}", "unclosed left paren"),
    ("{{.Name)}}", "unexpected right paren"),
    ("{{break}}", "{{break}} outside {{range}}"),
    ("{{/* c", "unclosed comment"),
]


@pytest.mark.parametrize(("template", "expected"), SYNTAX_ERRORS)
def test_syntax_error_is_dockers(template: str, expected: str) -> None:
    with pytest.raises(TemplateError) as raised:
        parse_template(template)
    assert str(raised.value) == f"template parsing error: template: :1: {expected}"


def test_time_of_a_network_prints_as_go_prints_times() -> None:
    raw = b'{"Created":"2026-11-24T04:03:00.93Z"}'
    assert (
        through(parse_template("{{.Created}} {{json .Created}}"), raw, NETWORK)
        == '2026-11-24 04:03:00.93 +0000 UTC "2026-11-24T04:03:00.93Z"'
    )


def test_error_names_line_and_column() -> None:
    with pytest.raises(TemplateError) as raised:
        through(parse_template("a\nb {{.Foo}}"), RAW, CONTAINER)
    assert "template: :2:4: executing" in str(raised.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=30)
@given(JSON)
def test_json_round_trips_any_value(value: object) -> None:
    assert json.loads(Template("{{json .}}", DOCKER).execute(value)) == value


@settings(max_examples=30)
@given(st.text(alphabet=st.sampled_from(list('{}.$|() "`\\abN1-=:,ifenrag\n')), max_size=40))
def test_any_template_parses_or_says_why(source: str) -> None:
    try:
        Template(source, DOCKER).execute({"N": "x", "a": [1, 2]})
    except TemplateError as error:
        assert str(error).startswith("template: :")


@settings(max_examples=30)
@given(st.text())
def test_text_without_actions_passes_through(text: str) -> None:
    if "{{" not in text:
        assert Template(text, DOCKER).execute(None) == text


@settings(max_examples=30)
@given(st.text())
def test_quoted_string_is_read_back(text: str) -> None:
    assert Template("{{" + json.dumps(text, ensure_ascii=False) + "}}", DOCKER).execute(None) == text
