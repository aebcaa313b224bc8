"""The page that asks for the token; all there is before the gate, and it holds no data."""

from html import escape

LOGIN_JS = """\
// The link printed at start carries the token behind the "#", which no server and no log sees.
const field = document.getElementById("token");
const match = /[#&]token=([^&]+)/.exec(location.hash);
if (match) {
  history.replaceState(null, "", location.pathname);
  field.value = decodeURIComponent(match[1]);
  field.form.submit();
}
"""

LOGIN_CSS = """\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 15vh auto; padding: 0 1rem; }
input, button { font: inherit; padding: 0.5rem 0.75rem; }
input { width: 100%; box-sizing: border-box; margin: 0.25rem 0 1rem; }
"""

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Diagnostics: token needed</title>
<link rel="stylesheet" href="{base}/login.css">
</head>
<body>
<main>
<h1>Diagnostics</h1>
<p>You are not on the machine that runs this application.
Open the link printed in the server's terminal, or paste its token here.</p>
<form method="post" action="{base}/login">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="off" required>
<button>Open</button>
</form>
</main>
<script src="{base}/login.js" defer></script>
</body>
</html>
"""


def login_page(base: str) -> str:
    """Write the page; *base* is the path under which the pages are mounted."""
    return _PAGE.format(base=escape(base, quote=True))
