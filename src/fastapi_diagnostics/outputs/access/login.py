"""The form that takes the token: readable without JavaScript, filled in from the link with it."""

from typing import Final
from urllib.parse import parse_qs, unquote

MAX_BODY: Final = 4096

# The referrer policy of the header would make the form's Origin "null", which is refused.
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="same-origin">
<title>Token needed - fastapi-diagnostics</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="static/login.css">
<script src="static/login.js" defer></script>
</head>
<body>
<main>
<h1>Diagnostics</h1>
<p>Open the link printed in the server&#39;s terminal, or paste the token here.</p>
{message}<form method="post" action="login">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="off" required autofocus>
<button>Open</button>
</form>
</main>
</body>
</html>
"""
_WRONG: Final = '<p class="wrong" role="alert">This is not the token of this server.</p>\n'

_CSS: Final = """\
:root { color-scheme: light dark; }
body { margin: 0; background: light-dark(#fbfbf9, #141517); color: light-dark(#1b1d21, #e6e6e3);
  font: 14px/1.5 system-ui, sans-serif; }
main { max-width: 400px; margin: 16vh auto 0; padding: 0 24px; }
h1 { font-size: 21px; margin: 0 0 8px; }
form { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 24px; }
label { flex-basis: 100%; font-weight: 560; }
input { flex: 1; min-width: 200px; font: inherit; padding: 7px 10px; border-radius: 6px;
  border: 1px solid light-dark(#8a8a84, #6d7278); background: light-dark(#fff, #1a1c1f);
  color: inherit; }
button { font: inherit; font-weight: 560; padding: 7px 16px; border: 0; border-radius: 6px;
  background: light-dark(#2f4fc0, #9db2ff); color: light-dark(#fff, #11131a); cursor: pointer; }
:focus-visible { outline: 2px solid light-dark(#2f4fc0, #9db2ff); outline-offset: 2px; }
.wrong { color: light-dark(#b3261e, #ff9b8f); }
"""

_SCRIPT: Final = """\
// The fragment of the printed link holds the token: send it, and leave nothing in the history.
const found = /^#token=(.+)$/.exec(location.hash);
if (found) {
  history.replaceState(null, "", location.pathname);
  document.getElementById("token").value = decodeURIComponent(found[1]);
  document.forms[0].requestSubmit();
}
"""

ASSETS: Final = {
    "/static/login.css": (_CSS.encode(), b"text/css; charset=utf-8"),
    "/static/login.js": (_SCRIPT.encode(), b"text/javascript; charset=utf-8"),
}


def login_page(*, wrong: bool = False) -> bytes:
    """Give the page with the form, and after a wrong token with a sentence about it."""
    return _PAGE.format(message=_WRONG if wrong else "").encode()


def token_of(body: bytes) -> str:
    """Read the token out of a form; also where somebody pasted the whole link."""
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=10)
    except ValueError:
        return ""
    text = fields.get("token", [""])[0].strip()
    link, marked, token = text.partition("#token=")
    return unquote(token) if marked and "/" in link else text
