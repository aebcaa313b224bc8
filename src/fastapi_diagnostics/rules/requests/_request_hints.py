"""Mistakes that explain a refusal as a whole: another route, another kind of body."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Fix
from fastapi_diagnostics.record import Rejection, RejectionError
from fastapi_diagnostics.rules.requests import _words
from fastapi_diagnostics.rules.requests._hint import FORMS, Hint, is_json, top_keys


def about_request(rejection: Rejection) -> Iterator[Hint]:
    """Explain all errors at once."""
    yield from _shadowed(rejection)
    body_errors = [error for error in rejection.errors if error.loc[:1] == ("body",)]
    if not body_errors:
        return
    for explain in (_broken, _text_for_json, _form_for_json, _json_for_form, _unwrap, _embed):
        hint = explain(rejection)
        if hint is not None:
            yield hint
            return


def _shadowed(rejection: Rejection) -> Iterator[Hint]:
    for route, location in rejection.shadowed_routes:
        name = f"{location.function} ({location.file}:{location.line})" if location else route
        here = rejection.endpoint
        this = f"{here.function} ({here.file}:{here.line})" if here else "the route that took it"
        yield Hint(
            code="shadowed-route",
            text=f"{route} also matches this URL, but it is declared later, and the first match "
            "wins",
            fix=Fix(
                summary=f"Declare {name} before {this}; if they belong to different routers, "
                "include its router first.",
                location=location,
            ),
        )


def _broken(rejection: Rejection) -> Hint | None:
    error = rejection.errors[0]
    if error.type in _UNREAD:
        code, text, summary = _UNREAD[error.type]
        return Hint(code=code, text=text, fix=Fix(summary=summary))
    if error.type != "json_invalid":
        return None
    near = f", near {rejection.body_excerpt}" if rejection.body_excerpt else ""
    where = f" at character {error.loc[1]}" if len(error.loc) > 1 else ""
    return Hint(
        code="broken-json",
        text=f"the body is no JSON{where}{near}",
        fix=Fix(
            summary="Let a JSON encoder write the body: json.dumps() in Python, JSON.stringify() "
            "in JavaScript."
        ),
    )


_UNREAD = {
    "body_nested": (
        "nesting",
        "its lists and objects are nested deeper than Python's parser goes (some thousand levels)",
        (
            "Send less nested JSON; refuse such bodies before they are parsed if they come from "
            "outside."
        ),
    ),
    "body_encoding": (
        "broken-json",
        "it is not encoded in UTF-8, as JSON must be",
        "Encode the body in UTF-8, or let the client's JSON encoder do it.",
    ),
    "body_multipart": (
        "content-type",
        "its parts do not fit the content type, which must name the boundary between them",
        (
            "Leave the header Content-Type to the client library (files= or data= in httpx, "
            "FormData in browsers): it writes the boundary into it."
        ),
    ),
}


def _text_for_json(rejection: Rejection) -> Hint | None:
    if rejection.expects != "json":
        return None
    if any(error.type.startswith(_ABOUT_TEXT) for error in rejection.errors):
        return None  # a text was wanted, and one came
    if rejection.body_kind == "text":
        return _no_json(rejection)
    if rejection.body_kind != "json-text":
        return None
    if is_json(rejection.content_type):
        return Hint(
            code="double-encoded",
            text="the body is a JSON string that holds JSON: it was encoded twice",
            fix=Fix(
                summary="Encode once: hand the object itself to json=, or the encoded text to "
                "content= with the content type application/json.",
                code="client.post(url, json=payload)",
            ),
        )
    came = (
        f"the content type is {rejection.content_type}"
        if rejection.content_type
        else ("there is no content type")
    )
    return Hint(
        code="content-type",
        text=f"the body is valid JSON, but {came}, so it was not read as JSON",
        fix=Fix(
            summary="Send the header Content-Type: application/json (curl -d sends a form unless "
            "told otherwise).",
            code='headers = {"Content-Type": "application/json"}',
        ),
    )


def _no_json(rejection: Rejection) -> Hint | None:
    """Bytes that are no JSON, under a type that FastAPI does not even try to read as such."""
    if is_json(rejection.content_type):
        return None
    came = (
        f"the content type is {rejection.content_type}"
        if rejection.content_type
        else ("there is no content type")
    )
    return Hint(
        code="content-type",
        text=f"{came}, and what came is no JSON, which is expected",
        fix=Fix(
            summary="Send JSON and say so with the header Content-Type: application/json; or "
            "read other bodies from the Request, or as an UploadFile.",
            code="client.post(url, json=payload)",
        ),
    )


_ABOUT_TEXT = ("string_", "bytes_", "value_error", "assertion_error")


def _form_for_json(rejection: Rejection) -> Hint | None:
    if rejection.expects != "json" or rejection.content_type not in FORMS:
        return None
    if rejection.body_kind != "form":
        return None
    return Hint(
        code="form-for-json",
        text=f"a form ({rejection.content_type}) was sent where JSON is expected",
        fix=Fix(
            summary="Send JSON: json= instead of data= in httpx and requests. If the endpoint is "
            "meant for forms, declare its parameter with Form().",
            code="client.post(url, json=payload)",
        ),
    )


def _json_for_form(rejection: Rejection) -> Hint | None:
    if rejection.expects != "form" or not is_json(rejection.content_type):
        return None
    if _words.uploads(rejection):
        return Hint(
            code="json-for-form",
            text="JSON was sent where a form with a file is expected",
            fix=Fix(
                summary="Send a multipart form: files= for files and data= for other fields, "
                "instead of json= in httpx and requests.",
                code=_words.example(rejection),
            ),
        )
    return Hint(
        code="json-for-form",
        text="JSON was sent where form fields are expected",
        fix=Fix(
            summary="Send a form: data= instead of json= in httpx and requests. If the endpoint "
            "is meant for JSON, declare a model instead of Form().",
            code="client.post(url, data=fields)",
        ),
    )


def _unwrap(rejection: Rejection) -> Hint | None:
    names = rejection.body_parameters
    if rejection.embedded or len(names) != 1 or top_keys(rejection) != set(names):
        return None
    name = names[0]
    declared = {f.path[1] for f in rejection.fields if f.path[0] == "body" and f.path[1:]}
    inside = {key.split(".")[1] for key in rejection.body_keys if key.startswith(f"{name}.")}
    if name in declared or not inside & declared:
        return None
    return Hint(
        code="unwrap",
        text=f"the body wraps the object in a key {name}, and it is expected by itself",
        fix=Fix(
            summary=f"Send the object that is under {name} as the whole body; or declare the "
            f"parameter {name} with Body(embed=True), then the wrapped body is right.",
            location=rejection.endpoint,
        ),
    )


def _embed(rejection: Rejection) -> Hint | None:
    top = top_keys(rejection)
    names = rejection.body_parameters
    missing = {error.loc[1] for error in rejection.errors if _is_missing_parameter(error)}
    if not rejection.embedded or not top or top & set(names) or not missing:
        return None
    for name in names:
        inner = {f.path[2] for f in rejection.fields if f.path[:2] == ("body", name) and f.path[2:]}
        if name in missing and inner and top <= _inner_names(rejection, names):
            return Hint(
                code="embed",
                text=f"{_words.listed(sorted(top))} came without the keys "
                f"{_words.listed(names)} around them",
                fix=Fix(
                    summary=f"Send an object with the keys {_words.listed(names)}: this endpoint "
                    "has its body parameters keyed by name.",
                    code=_words.example(rejection),
                ),
            )
    return None


def _is_missing_parameter(error: RejectionError) -> bool:
    return error.type == "missing" and error.loc[:1] == ("body",) and len(error.loc) == 2  # noqa: PLR2004


def _inner_names(rejection: Rejection, names: tuple[str, ...]) -> set[str]:
    return {
        field.path[2]
        for field in rejection.fields
        if len(field.path) == 3 and field.path[1] in names  # noqa: PLR2004 - body, parameter, field
    }
