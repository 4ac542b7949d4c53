"""Other cities: a file becomes a provider, a bad one is told by file and key, none is overwritten."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from config.settings import SettingsError
from tasks.cities import add_city, load_cities
from tasks.city311 import Area, City, steps
from tasks.city311.city_file import CityFile, CityFileInvalid
from tasks.city311.template import template
from tests.driver import Driver
from worker.cli.root import run
from worker.errors import CallError, CallInDoubt, ResourceMissing, ResponseUnreadable
from worker.request import Answer, Request
from worker.submissions.submission import Accepted, Submission, Submits

CHECKOUT = Path(__file__).resolve().parents[2]
GOOD = template("bos", "Boston", "https://311.boston.example.org")
VERIFIED = GOOD.replace('resend = "never"', 'resend = "verify"\ncorrelation = "meta.ref"') + (
    '\n[find]\npath = "/service-requests"\nparams = { ref = "{id}" }\nwithin = "requests"\n'
)
NO_PLACE = "".join(
    f'"location.{name}" = "location.{name}"\n' for name in ("address", "borough", "zip", "latitude")
)
PAYLOAD = {"agency": "BTD", "complaint_type": "Sign", "location": {"address": "1 City Hall Square"}}


def city(text: str = GOOD) -> CityFile:
    """The city that *text* describes."""
    return CityFile.parsed(text, "bos.toml")


def problems(text: str, file: str = "bos.toml") -> list[str]:
    """What is wrong with *text*."""
    with pytest.raises(CityFileInvalid) as refused:
        CityFile.parsed(text, file)
    return refused.value.problems


def known(submission_id: str = "our-id") -> Submission:
    """A submission that is in doubt."""
    return Submission(
        id=submission_id,
        provider="bos311",
        operation="submit_service_request",
        state="in_doubt",
        resend="verify",
        since=0.0,
        created_at=0.0,
    )


def looked_for(said: object) -> Accepted | None:
    """What a look for that submission finds when the city answers so."""
    submits = city(VERIFIED).submits
    assert submits.verify is not None
    driver = Driver(answer=lambda _: said if isinstance(said, CallError) else Answer(status=200, data=said))
    found: Accepted | None = driver.run(submits.verify(known(), PAYLOAD))
    (asked,) = driver.requests
    assert (asked.method, asked.path, asked.params) == ("GET", "/service-requests", {"ref": "our-id"})
    return found


def in_a_new_process(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    """What *code* prints in a process whose only settings are *env*."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("NARROWS_")}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env={**bare, **env}, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_new_citys_file_is_good_as_it_is() -> None:
    """Whatever its name holds."""
    for name in ("Boston", 'Bo"s\\ton', "Bostön\n[auth]"):
        assert CityFile.parsed(template("bos", name, "https://a.example.org"), "bos.toml").name == name


def test_a_file_says_all_that_a_provider_needs() -> None:
    """What is left out is not checked."""
    given = city(GOOD.replace("# daily_quota", "daily_quota").replace("zips = []", 'zips = ["02108-02137"]'))

    assert given.city.zips == ("02108-02137",)
    assert given.adapter.auth.header == "X-Api-Key"
    rate, quota = given.limits
    assert (rate.per_second, rate.burst, quota and quota.limit) == (5.0, 5, 10_000)
    assert given.submits.resend == "never"
    assert given.adapter.body(PAYLOAD) == {
        "agency": "BTD",
        "complaintType": "Sign",
        "location": {"address": "1 City Hall Square"},
        "anonymous": True,
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "Boston"', "", "name: is missing"),
        ("https://311", "ftp://311", 'base_url: takes an address such as "https://'),
        ("https://311", "https://me:secret@311", "base_url: takes an address without credentials"),
        ("https://311", "https://[", "base_url: "),
        ("America/New_York", "Mars", 'zone: takes a time zone such as "America/New_York"'),
        ("rate = 5.0", 'rate = "5"', "rate: Input should be a valid number"),
        ("rate = 5.0", "rate = 0.0", "rate: Input should be greater than 0"),
        ("zips = []", 'zips = ["2108"]', "zips: takes zips of five digits and ranges"),
        ("zips = []", 'zips = ["02137-02108"]', "zips: takes zips of five digits and ranges"),
        ('header = "X-Api-Key"', "", "auth: takes one of header and query"),
        ('resend = "never"', 'resend = "always"', "submit.resend: Input should be 'never', 'verify' or"),
        ('resend = "never"', 'resend = "verify"', 'submit.resend: "verify" takes submit.correlation'),
        ('agency = "agency"\ncomplaint', 'agancy = "a"\ncomplaint', "submit.fields: has no field 'agancy'"),
        ('"contact.phone"\n', '"contact..phone"\n', "submit.fields: takes their names, dotted where"),
        ('agency = "agency"\ncomplaint', "complaint", "submit.fields: takes agency, complaint_type, and"),
        ('complaint_type = "complaintType"', "", "submit.fields: takes agency, complaint_type, and"),
        (
            NO_PLACE,
            "",
            "submit.fields: takes agency, complaint_type, and where it is: location.address",
        ),
        ('"location.zip"\n', '"location.address"\n', 'submit: would send "location.address" and "location.a'),
        (
            '"location.zip"\n',
            '"location.address.zip"\n',
            'submit: would send "location.address" and "location.address.zip" in one place',
        ),
        ('"location.zip"\n', '"location"\n', 'submit: would send "location" and "location.address" in one'),
        (
            "[auth]",
            '[submit.constants]\n"agency.name" = 1\n[auth]',
            'submit: would send "agency" and "agency.name"',
        ),
        ("[auth]", '[submit.constants]\n"a..b" = 1\n[auth]', "submit.constants: takes their names, dotted"),
        (
            'resend = "never"',
            'resend = "never"\ncorrelation = "location.zip"',
            'submit: would send "location.zip" and "location.zip"',
        ),
        (
            'resend = "never"',
            'resend = "never"\ncorrelation = ".a"',
            "submit: takes their names, dotted where",
        ),
        (
            'path = "/service-requests"',
            'path = "service"',
            "submit.path: takes a path with its leading slash",
        ),
        ("/service-requests/{id}", "/service-requests", 'check: takes "{id}" in its path or in one of its'),
        ('external_status = "status"', "", "answer: takes external_id and external_status at least"),
        ("burst = 5", 'burst = 5\napi_key = "s3cret"', "api_key: is no key of a city's file"),
        ("zips = []", "zips = ", "is no TOML: "),
        (
            "[auth]",
            "[submit.constants]\nsince = 2026-01-01\n[auth]",
            "submit.constants: takes texts, numbers",
        ),
        ("[auth]", "[area]\nsouth=2\nnorth=1\nwest=0\neast=1\n[auth]", "area: takes south < north"),
    ],
)
def test_what_is_wrong_is_told_by_file_and_key(old: str, new: str, said: str) -> None:
    """With what the key takes, and without a secret that lies where it should not."""
    assert old in GOOD

    told = problems(GOOD.replace(old, new, 1))

    assert any(line.startswith(f"bos.toml: {said}") for line in told), told
    assert "secret" not in str(told)
    assert "s3cret" not in str(told)


def test_what_a_city_is_not_told_is_left_to_fill_in() -> None:
    """So that nobody's name or telephone number is lost without a word."""
    short = re.sub(r'^("contact\.|descriptor|"location\.l).*\n', "", GOOD, flags=re.MULTILINE)
    made = re.sub(
        r'^"location\.(address|borough|zip).*\n',
        "",
        GOOD.replace(
            "[submit.fields]",
            '[submit.fields]\n"location.full_address" = "where"\n"location.coordinates" = "at"',
        ),
        flags=re.MULTILINE,
    )

    (told,) = [line for line in city(short).unsaid if line.startswith("submit.fields")]

    assert told == (
        "submit.fields: without them the city is not told contact.email, contact.name, contact.phone, "
        "descriptor, location.latitude, location.longitude"
    )
    assert not [line for text in (GOOD, made) for line in city(text).unsaid if "submit.fields" in line]


@pytest.mark.parametrize(
    "file", ["Boston.toml", "b.toml", "bos-ton.toml", "../bos.toml", "bos.txt", "1.toml"]
)
def test_a_files_name_is_the_providers(file: str) -> None:
    """So it must be one that a queue, a setting and a metric can have."""
    assert problems(GOOD, file) == [f"{file}: takes a name such as bos.toml, of 2 to 20 letters and digits"]


def test_a_city_that_honours_a_key_is_shown_the_submissions_id() -> None:
    """In the header that it names, the same each time."""
    text = GOOD.replace('resend = "never"', 'resend = "idempotent"\nidempotency_header = "X-Once"')

    submits = city(text).submits
    tagged = submits.tag(Request(method="POST", path="/x", data={}), "our-id")

    assert (submits.resend, tagged.headers) == ("idempotent", {"X-Once": "our-id"})


def test_a_city_that_can_be_asked_is_told_the_submissions_id() -> None:
    """In the body, where an entry gives it back; the rest of the body stays."""
    tagged = city(VERIFIED).submits.tag(
        Request(method="POST", path="/x", data={"meta": {"a": 1}, "b": 2}), "our-id"
    )

    assert tagged.data == {"meta": {"a": 1, "ref": "our-id"}, "b": 2}


def test_a_look_finds_what_has_arrived() -> None:
    """Among others, by our own id and by nothing else."""
    entries = [
        {"trackingNumber": "1", "status": "open", "meta": {"ref": "another"}},
        {"trackingNumber": "2", "status": "closed", "meta": {"ref": "our-id"}},
    ]

    assert looked_for({"requests": entries}) == Accepted(
        external_id="2", external_status="closed", settled=True
    )


@pytest.mark.parametrize("said", [{"requests": []}, ResourceMissing()])
def test_a_look_that_finds_nothing_says_so(said: object) -> None:
    """Then it may be sent again."""
    assert looked_for(said) is None


@pytest.mark.parametrize(
    "said",
    [
        {"requests": [{"trackingNumber": "1", "meta": {"ref": "another"}}]},
        {"requests": [{"trackingNumber": "1"}]},
        {"requests": [{"meta": {"ref": "our-id"}}]},
        {"requests": "none"},
        {"requests": [1]},
        {"requests": None},
        {"requests": {}},
        {"requests": ""},
        {"message": "try later"},
        {},
        [],
        None,
    ],
)
def test_a_look_that_is_answered_with_something_else_proves_nothing(said: object) -> None:
    """A page of others, asked for one, is no proof that ours is not there; nor is what has no list."""
    with pytest.raises(ResponseUnreadable):
        looked_for(said)


def test_a_city_may_answer_with_a_list_of_one() -> None:
    """As Open311 does; with two of them, nobody knows which is meant."""
    adapter = city().adapter
    one = {"trackingNumber": 293944, "status": "open"}

    def submit(said: object) -> Accepted:
        return Driver(answer=lambda _: Answer(status=200, data=said)).run(steps.submit(adapter, PAYLOAD))

    assert submit([one]).external_id == "293944"
    with pytest.raises(CallInDoubt):
        submit([one, one])


@pytest.mark.parametrize("box", [(2, 0, 1, 1), (0, 2, 1, 1), (-91, 0, 1, 1), (0, 0, 1, 181)])
def test_an_area_lies_on_the_globe(box: tuple[float, float, float, float]) -> None:
    """South below north, west before east."""
    south, west, north, east = box
    with pytest.raises(ValueError, match="takes south < north"):
        Area(south=south, west=west, north=north, east=east)


def test_a_city_without_lists_takes_what_looks_right() -> None:
    """An agency's short name, a zip of five digits, any place on the globe."""
    anywhere = City(name="Anywhere", zone="UTC")

    assert (anywhere.agency(" pwd "), anywhere.zip_code("99999-0001"), anywhere.latitude(-90)) == (
        "PWD",
        "99999",
        -90,
    )
    for wrong in (lambda: anywhere.agency("a b"), lambda: anywhere.latitude(91)):
        with pytest.raises(ValueError, match="takes a"):
            wrong()


def test_every_problem_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    """At start, so that one start finds them all."""
    (tmp_path / "bos.toml").write_text(GOOD.replace("rate = 5.0", "rate = -1.0"), encoding="utf-8")
    (tmp_path / "sfo.toml").write_text("name = ", encoding="utf-8")
    (tmp_path / "lax.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "nyc.toml").write_text(GOOD, encoding="utf-8")

    with pytest.raises(SettingsError) as refused:
        load_cities(tmp_path)

    told = "\n".join(refused.value.problems)
    assert "NARROWS_CITIES: bos.toml: rate: " in told
    assert "NARROWS_CITIES: sfo.toml: is no TOML" in told
    assert "NARROWS_CITIES: lax.toml: cannot be read" in told
    assert "NARROWS_CITIES: nyc.toml: nyc311 is built in" in told


def test_a_file_that_names_a_modules_provider_is_told(tmp_path: Path) -> None:
    """A module of our own may have made a city of that name: in words, and not with a traceback."""
    (tmp_path / "bos.toml").write_text(GOOD, encoding="utf-8")
    code = (
        "import sys; from worker import registry; from worker.provider import Provider;"
        "registry.add(Provider(name='bos311', base_url='http://127.0.0.1'));"
        "sys.argv = ['narrows', 'status']; from worker.cli import main; main()"
    )

    done = in_a_new_process(code, NARROWS_CITIES=str(tmp_path))

    told = "narrows: NARROWS_CITIES: bos.toml: bos311 is built in; take another name\n"
    assert (done.returncode, done.stderr) == (2, told)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A typing error would otherwise serve no city, in silence."""
    with pytest.raises(SettingsError, match="NARROWS_CITIES: there is no folder"):
        load_cities(tmp_path / "none")


def test_a_file_in_the_folder_becomes_a_provider_with_its_tasks(tmp_path: Path) -> None:
    """With the import of the tasks, in any process that has the setting."""
    (tmp_path / "bos.toml").write_text(VERIFIED, encoding="utf-8")
    code = (
        "import json, tasks; from worker import app, registry; from tasks.polling import pollable;"
        "submit = app.tasks['bos311.submit_service_request'];"
        "args, _ = submit.operation.checked((json.loads(input()),), {});"
        "print(json.dumps([registry.names(), pollable(), args, submit.operation.submission.resend]))"
    )

    done = in_a_new_process(code.replace("input()", repr(json.dumps(PAYLOAD))), NARROWS_CITIES=str(tmp_path))

    names, polled, (payload,), resend = json.loads(done.stdout)
    assert {"bos311", "nyc311"} <= set(names)
    assert polled == ["bos311", "nyc311"]
    assert payload == PAYLOAD
    assert resend == "verify"


def test_a_bad_file_stops_the_process_in_words(tmp_path: Path) -> None:
    """The command says it in a line, with the exit code for wrong settings."""
    (tmp_path / "bos.toml").write_text(GOOD.replace("rate = 5.0", "rate = -1.0"), encoding="utf-8")

    done = in_a_new_process(
        "import sys; sys.argv = ['narrows', 'status']; from worker.cli import main; main()",
        NARROWS_CITIES=str(tmp_path),
    )

    assert done.returncode == 2
    assert done.stderr == "narrows: NARROWS_CITIES: bos.toml: rate: Input should be greater than 0\n"


def test_the_command_writes_a_file_and_says_what_to_do_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file loads as it is."""
    folder = tmp_path / "cities"

    code = run(["city", "add", "--slug", "bos", "--name", "Boston", "--folder", str(folder)])

    out = capsys.readouterr().out
    assert code == 0
    assert "bos.toml: written" in out
    for word in ("fill in base_url", "NARROWS_PROVIDERS__BOS311__API_KEY", f"NARROWS_CITIES={folder}"):
        assert word in out
    assert CityFile.read(folder / "bos.toml").name == "Boston"


def test_what_is_there_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is checked instead."""
    file = tmp_path / "bos.toml"
    file.write_text(VERIFIED, encoding="utf-8")
    command = ["city", "add", "--slug", "bos", "--name", "B", "--folder", str(tmp_path), "--json"]

    good = run(command)
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    file.write_text("name = ", encoding="utf-8")
    bad = run(command)

    assert (good, told["written"], told["provider"]) == (0, False, "bos311")
    assert bad == 2
    assert "bos.toml: is no TOML" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == "name = "


@pytest.mark.parametrize("slug", ["../evil", "/tmp/evil", "Bos", "b", "nyc", "bos.old"])  # noqa: S108
def test_a_slug_leads_nowhere_but_into_the_folder(slug: str, tmp_path: Path) -> None:
    """And nothing is written for one that is refused."""
    folder = tmp_path / "cities"

    with pytest.raises(SettingsError):
        add_city(slug, "x", None, folder)

    assert list(tmp_path.rglob("*")) == []


def test_an_address_that_is_none_writes_nothing(tmp_path: Path) -> None:
    """The file would not load."""
    with pytest.raises(SettingsError, match="base_url: takes an address"):
        add_city("bos", "Boston", "boston", tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_file_is_told(tmp_path: Path) -> None:
    """In a line."""
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(SettingsError, match="cannot be written"):
        add_city("bos", "Boston", None, tmp_path / "file")


def test_a_person_decides_unless_a_city_says_otherwise() -> None:
    """The safe way needs no word."""
    assert city().submits.resend == Submits().resend == "never"
