"""What is wrong with a service request, in words for whoever wrote it. Loads pydantic.

Pydantic's own words name our classes, and not what there is instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["in_words"]

_TEXTS = {"zip": '"10007"', "phone": '"+12125550123"'}
"""What people write as numbers."""


def in_words(wrong: ValidationError, model: type[BaseModel]) -> ValidationError:
    """*wrong*, with the fields that there are where one is not, and what else a caller has to know."""
    lines = [_line(each, model) for each in wrong.errors(include_url=False)]
    return ValidationError.from_exception_data(wrong.title, lines, hide_input=True)


def _line(error: ErrorDetails, model: type[BaseModel]) -> InitErrorDetails:
    said = _said(error, model)
    kind = PydanticCustomError("in_words", "{said}", {"said": said}) if said else error["type"]
    return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"], ctx=error.get("ctx", {}))


def _said(error: ErrorDetails, model: type[BaseModel]) -> str | None:
    """Our own words for *error*; None where pydantic's will do."""
    *above, last = error["loc"] or ("",)
    if error["type"] == "extra_forbidden":
        return f"is not one of its fields, which are {_fields(model, above)}"
    if error["type"] == "model_type":
        return f"takes a dictionary with the fields {_fields(model, error['loc'])}"
    if error["type"] == "string_type":
        return f"takes a text, for example {_TEXTS[str(last)]}" if last in _TEXTS else "takes a text"
    return None


def _fields(model: type[BaseModel], loc: Any) -> str:
    """Those of the part of *model* that lies at *loc*."""
    for name in loc:
        annotation = model.model_fields[name].annotation
        parts = (annotation, *getattr(annotation, "__args__", ()))
        model = next(part for part in parts if isinstance(part, type) and issubclass(part, BaseModel))
    return ", ".join(model.model_fields)
