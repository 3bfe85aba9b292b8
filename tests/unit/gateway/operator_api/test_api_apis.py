"""`/api/apis`: envelopes, what is filled in, what is refused, and that nothing changes when it is."""

from __future__ import annotations

import re
from typing import Any

import pytest

from services.gateway.definitions.reader import Mistake, Mistakes


def test_create_fills_in_what_the_sample_leaves_out(operator: Any, make_definition: Any) -> None:
    sample = make_definition(name="Test")
    for name in ("api_id", "org_id"):
        del sample[name]
    sample["proxy"] = {"target_url": "http://httpbin.org/"}
    created = operator.call("POST", "/api/apis/", {"api_definition": sample, "hook_references": []})
    body = created.get_json()
    assert list(body) == ["Status", "Message", "Meta"]
    assert (body["Status"], body["Message"]) == ("OK", "API created")
    assert re.fullmatch("[0-9a-f]{24}", body["Meta"])
    read = operator.json("GET", f"/api/apis/{body['Meta']}")
    assert list(read) == ["api_model", "api_definition", "hook_references"]
    stored = read["api_definition"]
    assert stored["id"] == body["Meta"]
    assert re.fullmatch("[0-9a-f]{32}", stored["api_id"])
    assert stored["org_id"] == "default"
    assert stored["proxy"] == {"target_url": "http://httpbin.org/", "listen_path": f"/{stored['api_id']}/"}
    assert operator.gateway.published == ["definitions"]


def test_what_is_given_is_kept(operator: Any, make_definition: Any) -> None:
    given = make_definition(later_field={"x": 1})
    given["proxy"]["strip_listen_path"] = False
    read = operator.json("GET", f"/api/apis/{operator.new_api(later_field={'x': 1})}")["api_definition"]
    assert read["later_field"] == {"x": 1}
    id = operator.json(
        "POST", "/api/apis", {"api_definition": {**given, "api_id": "two", "proxy": {**given["proxy"], "listen_path": "/two"}}}
    )["Meta"]
    assert operator.json("GET", f"/api/apis/{id}")["api_definition"]["proxy"]["strip_listen_path"] is False


def test_list_pages_and_search(operator: Any) -> None:
    for index in range(12):
        operator.new_api(name=f"Api {index:02}", api_id=f"a{index}", listen_path=f"/p{index}/")
    first = operator.json("GET", "/api/apis?p=0")
    assert (len(first["apis"]), first["pages"]) == (10, 1)
    assert [one["api_definition"]["name"] for one in operator.json("GET", "/api/apis?p=1")["apis"]] == ["Api 10", "Api 11"]
    assert len(operator.json("GET", "/api/apis?p=-1")["apis"]) == 12
    assert len(operator.json("GET", "/api/apis?p=1&page_size=5")["apis"]) == 5
    assert [one["api_definition"]["api_id"] for one in operator.json("GET", "/api/apis/search?q=PI%2007")["apis"]] == ["a7"]
    assert operator.json("GET", "/api/apis/search?q=%25")["apis"] == []
    assert "page_size" in operator.json("GET", "/api/apis?page_size=0", status=400)["Message"]


def test_update_replaces_and_counts_revisions(operator: Any, make_definition: Any) -> None:
    id = operator.new_api()
    read = operator.call("GET", f"/api/apis/{id}")
    assert read.headers["ETag"] == '"1"'
    body = {"api_definition": make_definition(name="Two", listen_path="/moved/"), "hook_references": []}
    assert operator.json("PUT", f"/api/apis/{id}", body, headers={"If-Match": '"1"'}) == {
        "Status": "OK",
        "Message": "Api updated",
        "Meta": "",
    }
    after = operator.call("GET", "/api/apis/one")
    assert after.headers["ETag"] == '"2"'
    assert after.get_json()["api_definition"]["id"] == id
    assert after.get_json()["api_definition"]["proxy"]["listen_path"] == "/moved/"
    assert operator.gateway.checked[-1] == ("one", "one")


def test_a_lost_update_is_refused(operator: Any, make_definition: Any) -> None:
    id = operator.new_api()
    body = {"api_definition": make_definition(name="Mine")}
    operator.json("PUT", f"/api/apis/{id}", {"api_definition": make_definition(name="Theirs")})
    for stale in ('"1"', "1", 'W/"1"', '"other"'):
        refused = operator.call("PUT", f"/api/apis/{id}", body, {"If-Match": stale})
        assert refused.status_code == 412
    assert operator.call("DELETE", f"/api/apis/{id}", None, {"If-Match": '"1"'}).status_code == 412
    assert operator.json("GET", f"/api/apis/{id}")["api_definition"]["name"] == "Theirs"


def test_every_mistake_is_named_with_its_place_and_nothing_changes(operator: Any, make_definition: Any) -> None:
    id = operator.new_api()
    wrong = make_definition(listen_path="no-slash", target="ftp://x/")
    wrong["version_data"]["versions"]["Default"]["expires"] = "2015-13-45 10:00"
    published = list(operator.gateway.published)
    for method, path in (("POST", "/api/apis"), ("PUT", f"/api/apis/{id}")):
        body = operator.json(method, path, {"api_definition": wrong if method == "PUT" else {**wrong, "api_id": "new"}}, status=400)
        assert (body["Status"], body["Meta"]) == ("Error", None)
        assert {one["pointer"] for one in body["Errors"]} == {
            "/api_definition/proxy/listen_path",
            "/api_definition/proxy/target_url",
            "/api_definition/version_data/versions/Default/expires",
        }
        assert "listen_path" in body["Message"]
    assert operator.json("GET", f"/api/apis/{id}")["api_definition"]["proxy"]["listen_path"] == "/one/"
    assert operator.json("GET", "/api/apis?p=-1")["pages"] == 0
    assert operator.gateway.published == published


def test_what_the_live_set_refuses_is_not_stored(operator: Any, make_definition: Any) -> None:
    operator.gateway.mistakes = Mistakes([Mistake("/proxy/listen_path", "`Other` already listens here")])
    body = operator.json("POST", "/api/apis", {"api_definition": make_definition()}, status=400)
    assert body["Errors"] == [{"pointer": "/api_definition/proxy/listen_path", "message": "`Other` already listens here"}]
    operator.gateway.mistakes = None
    assert operator.json("GET", "/api/apis")["apis"] == []


def test_two_active_apis_cannot_own_one_place(operator: Any, make_definition: Any) -> None:
    operator.new_api()
    second = make_definition(api_id="two", listen_path="/one")
    refused = operator.json("POST", "/api/apis", {"api_definition": second}, status=400)
    place = "/api_definition/proxy/listen_path"
    assert refused["Errors"] == [{"pointer": place, "message": "one already listens on this listen_path"}]
    operator.json("POST", "/api/apis", {"api_definition": {**second, "active": False}})
    operator.json("PUT", "/api/apis/two", {"api_definition": second}, status=400)
    operator.json("PUT", "/api/apis/two", {"api_definition": {**second, "domain": "two.example"}})


def test_ids_are_unique_and_do_not_change(operator: Any, make_definition: Any) -> None:
    id = operator.new_api()
    again = operator.json("POST", "/api/apis", {"api_definition": make_definition(listen_path="/else/")}, status=409)
    assert again["Message"] == "Found API with the same ID"
    operator.json("POST", "/api/apis", {"api_definition": make_definition(api_id="x", id=id, listen_path="/else/")}, status=409)
    for name in ("id", "api_id"):
        operator.json("PUT", f"/api/apis/{id}", {"api_definition": make_definition(**{name: "other"})}, status=400)


def test_delete(operator: Any) -> None:
    id = operator.new_api()
    assert operator.json("DELETE", f"/api/apis/{id}") == {"Status": "OK", "Message": "API deleted", "Meta": ""}
    assert operator.json("GET", f"/api/apis/{id}", status=404)["Message"] == "Could not retrieve API detail"
    operator.json("DELETE", f"/api/apis/{id}", status=404)
    operator.json("PUT", f"/api/apis/{id}", {"api_definition": {}}, status=404)


def test_workers_that_did_not_confirm_are_named(operator: Any, make_definition: Any) -> None:
    operator.gateway.unconfirmed = ["worker-2"]
    body = operator.json("POST", "/api/apis", {"api_definition": make_definition()})
    assert body["Unconfirmed"] == ["worker-2"]


def test_bodies_that_are_no_definition(operator: Any, make_definition: Any) -> None:
    assert operator.json("POST", "/api/apis", "{", status=403)["Message"] == "Request body malformed."
    assert operator.json("POST", "/api/apis", "", status=403)["Status"] == "Error"
    operator.json("POST", "/api/apis", "[]", status=403)
    operator.json("POST", "/api/apis", {"api_definition": []}, status=400)
    twice = operator.json("POST", "/api/apis", '{"api_definition": {"name": "a", "name": "b"}}', status=400)
    assert twice["Errors"] == [{"pointer": "/api_definition/name", "message": "is given twice"}]
    endless = operator.json("POST", "/api/apis", '{"api_definition": {"session_lifetime": 1e999}}', status=400)
    assert endless["Errors"][0]["pointer"] == "/api_definition/session_lifetime"
    operator.json("POST", "/api/apis", {"api_definition": {**make_definition(), "proxy": "none"}}, status=400)
    operator.json("POST", "/api/apis", {"api_definition": {**make_definition(), "api_id": 5}}, status=400)


def test_field_names_in_any_case(operator: Any, make_definition: Any) -> None:
    given = make_definition()
    given["API_ID"] = given.pop("api_id")
    given["Proxy"] = {"Listen_Path": "/cased/", "target_url": "http://127.0.0.1:9/"}
    del given["proxy"]
    operator.json("POST", "/api/apis", {"api_definition": given})
    read = operator.json("GET", "/api/apis/one")["api_definition"]
    assert read["api_id"] == "one"
    assert read["proxy"] == {"Listen_Path": "/cased/", "target_url": "http://127.0.0.1:9/"}


def test_a_wrong_key_is_refused_everywhere(operator: Any) -> None:
    for headers in (
        {"authorization": "wrong"},
        {"authorization": ""},
        {"authorization": "Bearer wrong"},
        {"authorization": "operator-key-of-the-tesé"},
    ):
        for path in ("/api/apis", "/api/keys", "/api/hooks", "/api/gatehouse/workers"):
            refused = operator.json("GET", path, status=401, headers=headers)
            assert (refused["Status"], refused["Message"], refused["Meta"]) == ("Error", "Not authorised", None)
    assert operator.call("GET", "/api/apis", None, {"authorization": "Bearer operator-key-of-the-test"}).status_code == 200
    operator.gateway.operator_key = ""
    operator.json("GET", "/api/apis", status=401, headers={"authorization": ""})


def test_upstreams_from_the_environment(operator: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("UPSTREAM_ONE", "http://10.0.0.1:8101")
    id = operator.new_api(target="env://UPSTREAM_ONE/base/")
    assert operator.json("GET", f"/api/apis/{id}")["api_definition"]["proxy"]["target_url"] == "env://UPSTREAM_ONE/base/"


def test_text_that_cannot_be_kept_is_refused(operator: Any, make_definition: Any) -> None:
    """One such definition would make every list of them fail."""
    for changes in ({"name": "\x00"}, {"name": "\ud800"}, {"later": [{"x": "\ud800"}]}, {"later": {"\udfff": 1}}):
        answer = operator.call("POST", "/api/apis", {"api_definition": make_definition(**changes), "hook_references": []})
        assert answer.status_code == 400
        assert "surrogate" in answer.get_json()["Errors"][0]["message"]
    assert operator.json("GET", "/api/apis")["apis"] == []
    id = operator.new_api(name="\U0001f600")
    assert operator.json("GET", f"/api/apis/{id}")["api_definition"]["name"] == "\U0001f600"


def test_what_has_no_effect_is_kept_and_told(operator: Any, make_definition: Any) -> None:
    """Every save says so; an envelope without warnings is Tyk's own."""
    odd = make_definition(later={"a": 1}, detailed_tracing=True)
    made = operator.json("POST", "/api/apis", {"api_definition": odd})
    assert [one["pointer"] for one in made["Warnings"]] == ["/api_definition/later", "/api_definition/detailed_tracing"]
    assert operator.json("GET", "/api/apis/one")["api_definition"]["later"] == {"a": 1}
    assert "Warnings" in operator.json("PUT", "/api/apis/one", {"api_definition": odd})
    assert [one["pointer"] for one in operator.json("PUT", "/tyk/apis/one", odd)["warnings"]] == ["/later", "/detailed_tracing"]
    assert "warnings" in operator.json("POST", "/tyk/apis", odd)
    assert operator.json("PUT", "/tyk/apis/one", make_definition()) == {"key": "one", "status": "ok", "action": "modified"}
    assert "Warnings" in operator.json("POST", "/api/gatehouse/apis/one/revisions/1/restore")


def test_a_document_that_is_nested_too_deeply(operator: Any) -> None:
    for levels in (150, 400, 900, 5000):
        deep = '{"a": ' * levels + "1" + "}" * levels
        for path, body in (
            ("/tyk/apis", deep),
            ("/api/apis", '{"api_definition": ' + deep + "}"),
            ("/api/gatehouse/lint", deep),
            ("/api/hooks", '{"method": "GET", "target_path": "http://a/", "b": ' + deep + "}"),
            ("/api/keys", '{"meta_data": ' + deep + "}"),
        ):
            refused = operator.call("POST", path, body)
            assert (refused.status_code, "nested too deeply" in refused.text) in ((400, True), (403, True)), (path, levels)


def test_an_api_that_cannot_be_served_says_why(operator: Any) -> None:
    id = operator.new_api()
    assert "mistakes" not in operator.json("GET", f"/api/apis/{id}")
    operator.gateway.live.current.broken = {"one": [Mistake("/name", "must be a string")]}
    for element in (operator.json("GET", f"/api/apis/{id}"), operator.json("GET", "/api/apis")["apis"][0]):
        assert element["mistakes"] == [{"pointer": "/name", "message": "must be a string"}]


def test_unknown_fields_are_told_beside_mistakes(operator: Any, make_definition: Any) -> None:
    wrong = make_definition(use_keyles=True, team="blue")
    told = operator.json("POST", "/api/apis", {"api_definition": wrong}, status=400)
    assert [one["pointer"] for one in told["Errors"]] == ["/api_definition/use_keyles"]
    assert [one["pointer"] for one in told["Warnings"]] == ["/api_definition/team"]
    told = operator.json("POST", "/tyk/apis", wrong, status=400)
    assert [[one["pointer"] for one in told[name]] for name in ("errors", "warnings")] == [["/use_keyles"], ["/team"]]
    told = operator.json("POST", "/api/gatehouse/lint", wrong)
    assert [[one["pointer"] for one in told[name]] for name in ("mistakes", "warnings")] == [["/use_keyles"], ["/team"]]


def test_two_apis_cannot_own_one_place_by_other_names(operator: Any) -> None:
    operator.new_api(listen_path="/{tenant}/a/")
    body = {"api_definition": {**operator.json("GET", "/api/apis/one")["api_definition"], "id": "", "api_id": "two"}}
    body["api_definition"]["proxy"]["listen_path"] = "/{customer}/a"
    told = operator.json("POST", "/api/apis", body, status=400)
    assert [one["pointer"] for one in told["Errors"]] == ["/api_definition/proxy/listen_path"]
    body["api_definition"]["proxy"]["listen_path"] = "/acme/a"
    operator.json("POST", "/api/apis", body)


def test_a_save_warns_of_apis_that_requests_are_sent_on_to_and_that_are_not_here(operator: Any, make_definition: Any) -> None:
    entry = {"path": "/a", "method": "", "match_pattern": "/a", "rewrite_to": "tyk://self/b"}
    away = {**entry, "triggers": [{"on": "all", "options": {"header_matches": {"x": {"match_rx": "y"}}}, "rewrite_to": "tyk://away/"}]}
    given = make_definition(api_id="one", name="One")
    given["proxy"]["target_url"] = "tyk://the-other/"
    version = given["version_data"]["versions"].setdefault("Default", {"name": "Default"})
    version |= {"use_extended_paths": True, "extended_paths": {"url_rewrites": [entry, away]}}
    warnings = operator.json("POST", "/api/gatehouse/lint", {"api_definition": given})["warnings"]
    said = {one["pointer"]: one["message"] for one in warnings if "tyk://" in one["message"] or "served" in one["message"]}
    assert said.keys() == {"/proxy/target_url", "/version_data/versions/Default/extended_paths/url_rewrites"}
    assert "`the-other` is no API that is served" in said["/proxy/target_url"]
    operator.new_api(api_id="other", name="The Other", proxy={"listen_path": "/other/", "target_url": "http://10.0.0.1"})
    warnings = operator.json("POST", "/api/gatehouse/lint", {"api_definition": given})["warnings"]
    assert "/proxy/target_url" not in [one["pointer"] for one in warnings]


@pytest.mark.parametrize("word", ["on", "2", "null", "dry", ""])
def test_a_switch_that_is_no_switch_writes_nothing(operator: Any, word: str) -> None:
    id = operator.new_api()
    before = operator.json("GET", f"/api/apis/{id}")["api_definition"]
    refused = operator.json("PUT", f"/api/apis/{id}?dry_run={word}", {"api_definition": {**before, "name": "changed"}}, status=400)
    assert (refused["Code"], "dry_run" in refused["Message"]) == ("invalid-argument", True)
    assert operator.json("GET", f"/api/apis/{id}")["api_definition"] == before
    assert operator.json("PUT", f"/api/apis/{id}?dry_run=no", {"api_definition": {**before, "name": "changed"}})["Status"] == "OK"
    assert operator.json("GET", f"/api/apis/{id}")["api_definition"]["name"] == "changed"
