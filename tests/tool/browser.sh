#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The page that --plot=FILE.html writes, in a real browser: browser_test.js says what it must do.
. "${0%/*}/lib.sh"
here=$(cd "${0%/*}" && pwd)
can_trace

# ---- What needs no browser ----
mkdir 'dir'
cp "$(type -P true)" 'dir/a<b>"&.so.1'
# Names that would be markup, in the title and among the mappings.
evil='</script><script>window.injected = 1</script>'
status 0 "$MEMMAP" trace -q --plot=plot.html --log=log -- sh -c "'dir/a<b>\"&.so.1'; ls / > /dev/null; : '$evil'"
head -c 15 plot.html | grep -q '^<!doctype html>' || fail "no page"
tail -1 plot.html | grep -q '^</html>' || fail "the page has no end"
[ "$(grep -c '</script>' plot.html)" -eq 2 ] || fail "a name is markup: $(grep -c '</script>' plot.html)"
grep -E 'src=|href=|https?:' plot.html | grep -v '^<script type="application/json"' && fail "the page needs others"
status 0 "$MEMMAP" replay --plot=replayed.html log
tail -1 replayed.html | grep -q '^</html>' || fail "the page of a replay has no end"
status 0 "$MEMMAP" trace -q --plot=PLOT.HTM -- true
head -c 15 PLOT.HTM | grep -q '^<!doctype html>' || fail "no page under the name PLOT.HTM"
status 0 "$MEMMAP" trace -q --plot=plot.svg -- true
head -c 5 plot.svg | grep -q '^<?xml' || fail "no SVG any more"
if [ -e /dev/full ]; then
	ln -s /dev/full full.html
	status 125 "$MEMMAP" trace -q --plot=full.html -- true
	grep -q "^memmap: the plot 'full.html' could not be written: No space" err || fail "a full disk: $(cat err)"
fi
[ "$failures" -eq 0 ] || done_testing

# ---- In the browser ----
browser=
for name in chromium chromium-browser google-chrome-stable google-chrome; do
	command -v $name > /dev/null && browser=$name && break
done
[ -n "$browser" ] || skip "no browser is installed; scripts/install-deps browser brings one"

# in_browser PAGE: all of browser_test.js holds.
in_browser() {
	{
		sed '/^<\/body>$/,$d' "$1"
		echo '<script>'
		cat "$here/browser_test.js"
		echo '</script></body></html>'
	} > tested.html
	local sandbox=
	[ "$(id -u)" -ne 0 ] || sandbox=--no-sandbox
	HOME=$PWD timeout 120 "$browser" --headless $sandbox --disable-gpu --disable-dev-shm-usage \
		--no-first-run --user-data-dir="$PWD/profile" --window-size=1300,1000 \
		--virtual-time-budget=4000 --dump-dom "file://$PWD/tested.html" > dom 2> browser.err
	if ! grep -q 'id="result"' dom; then
		grep -q -i -e 'sandbox' -e 'namespace' -e 'cannot open display' browser.err && ! [ -s dom ] &&
			skip "the browser does not run here: $(tail -1 browser.err)"
		fail "$1: the page has no result: $(tail -3 browser.err)"
	elif ! grep -q 'id="result">PASSED' dom; then
		fail "$1: $(sed -n '/id="result"/,/<\/pre>/p' dom)"
	fi
}
in_browser plot.html
in_browser replayed.html
done_testing
