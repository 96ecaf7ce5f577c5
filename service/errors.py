"""Everything that can go wrong, as types; `service.problems` knows how HTTP says it.

ServiceError
├── RequestError              the request is wrong; sending it again will not help
│   ├── InvalidRequest        not JSON, a field missing, unknown or of a wrong type
│   ├── InvalidText           a text that is no Unicode text
│   ├── InvalidOption         a decoding option outside its range
│   ├── IncompatibleOptions   decoding options that do not go together
│   ├── UnsupportedLanguage   a code the bundle does not know
│   ├── UnsupportedPair       known codes, but no direction from one to the other
│   ├── UnsupportedFormality  a form of address that the target language has no choice of
│   ├── InvalidTimeout        a header with no time that a client could wait
│   ├── TooManyTexts          more texts than one request may hold
│   └── SegmentTooLong        a sentence beyond the token limit, with no place to split it
├── RequestTooLarge           the request is well formed, and more than we take at once
│   ├── BodyTooLarge          bytes of the body
│   ├── TextTooLong           characters of all texts
│   └── TooManyTokens         more tokens than the empty queue could hold
├── QueueFull                 too much is waiting; the same request may pass later
├── WaitTooLong               its turn would come too late for its deadline; it may pass later
├── NotReady                  the bundle is still loading, or could not be loaded
├── EngineStopped             the engine drains and takes no more work
├── EngineFailure             a step of the engine failed; the fault is ours
├── DeadlineExceeded          the answer did not come in time
└── RequestCancelled          the client has gone; nobody reads this one
BundleError                   start-up: the bundle is missing, damaged or foreign
SettingsError                 start-up: a setting is unknown or outside its range
"""


class ServiceError(Exception):
    """The root of all errors of a request.

    Attributes:
        value: what the request has, where the error is about a number.
        limit: what it may have, in the same unit.
    """

    def __init__(
        self, message: str, *, value: float | None = None, limit: float | None = None
    ) -> None:
        super().__init__(message)
        self.value = value
        self.limit = limit


class RequestError(ServiceError):
    """The request is wrong."""


class InvalidRequest(RequestError):
    """The body is no JSON, or a field is missing, unknown or of a wrong type."""


class InvalidText(RequestError):
    """A text holds something that is no character."""


class InvalidOption(RequestError):
    """A decoding option is outside its range."""


class IncompatibleOptions(RequestError):
    """Decoding options that do not go together, or one without another that it needs."""


class UnsupportedLanguage(RequestError):
    """A language code the bundle does not know."""

    def __init__(self, code: str, supported: tuple[str, ...]) -> None:
        super().__init__(f"{code[:32]!r} is not supported; languages: {', '.join(supported)}")
        self.code = code


class UnsupportedPair(RequestError):
    """Both languages are known, but there is no direction from one to the other."""

    def __init__(self, source: str, target: str) -> None:
        super().__init__(f"there is no translation from {source} to {target}")
        self.source = source
        self.target = target


class UnsupportedFormality(RequestError):
    """The model offers no such form of address in the target language."""

    def __init__(self, formality: str, target: str, supported: tuple[str, ...]) -> None:
        super().__init__(
            f"formality {formality[:32]!r} is not supported for the target {target}; "
            f"it may be: {', '.join(supported)}"
        )


class InvalidTimeout(RequestError):
    """The header does not say how long the client waits; `value` is null if it is no number."""

    def __init__(self, given: str, *, value: float | None, limit: float) -> None:
        super().__init__(
            f"the timeout {given[:32]!r} is no number of seconds above 0; the limit is {limit:.3g}",
            value=value,
            limit=limit,
        )


class TooManyTexts(RequestError):
    """More texts than one request may hold."""

    def __init__(self, *, value: int, limit: int) -> None:
        message = f"the request has {value} texts; the limit is {limit}"
        super().__init__(message, value=value, limit=limit)


class SegmentTooLong(RequestError):
    """A sentence beyond the token limit that has no clause mark or space to split it at."""

    def __init__(self, *, value: int, limit: int) -> None:
        message = f"a segment has {value} tokens and cannot be split; the limit is {limit}"
        super().__init__(message, value=value, limit=limit)


class RequestTooLarge(ServiceError):
    """The request is more than we take at once."""


class BodyTooLarge(RequestTooLarge):
    """More bytes than a body may have; `value` is what was read or announced so far."""

    def __init__(self, *, value: int, limit: int) -> None:
        message = f"the body has at least {value} bytes; the limit is {limit}"
        super().__init__(message, value=value, limit=limit)


class TextTooLong(RequestTooLarge):
    """More characters than all texts of a request may have together."""

    def __init__(self, *, value: int, limit: int) -> None:
        message = f"the texts have {value} characters; the limit is {limit}"
        super().__init__(message, value=value, limit=limit)


class TooManyTokens(RequestTooLarge):
    """More tokens than the queue holds when it is empty: waiting would not help."""

    def __init__(self, *, value: int, limit: int) -> None:
        message = f"the request has {value} tokens; the limit is {limit}"
        super().__init__(message, value=value, limit=limit)


class QueueFull(ServiceError):
    """Too many tokens are waiting; `value` is what the queue would hold with this job."""

    def __init__(self, *, value: int, limit: int) -> None:
        message = f"the queue would hold {value} tokens; the limit is {limit}"
        super().__init__(message, value=value, limit=limit)


class WaitTooLong(ServiceError):
    """The turn would come too late.

    `value` is the wait expected, `limit` what it may be, `missing_seconds` what lies between.
    """

    def __init__(self, *, value: float, limit: float) -> None:
        message = f"the turn would come in {value:.3g} seconds; the limit is {limit:.3g}"
        super().__init__(message, value=value, limit=limit)
        self.missing_seconds = value - limit


class NotReady(ServiceError):
    """The bundle is still loading, or could not be loaded."""


class EngineStopped(ServiceError):
    """The engine drains and takes no more work."""


class EngineFailure(ServiceError):
    """A step of the engine failed, and this job with it."""


class DeadlineExceeded(ServiceError):
    """The answer did not come in time."""

    def __init__(self, *, value: float, limit: float) -> None:
        message = f"no answer after {value:.3g} seconds; the limit is {limit:.3g}"
        super().__init__(message, value=value, limit=limit)


class RequestCancelled(ServiceError):
    """The client has gone, so its work was dropped."""


class BundleError(Exception):
    """The bundle cannot be served; the message names the file and why."""


class SettingsError(Exception):
    """A setting is unknown or outside its range; the message names it."""
