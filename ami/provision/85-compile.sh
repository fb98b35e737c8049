# Python's own modules compiled once more, as files that do not depend on times.
find /usr/lib/python3* /usr/share -name __pycache__ -type d -prune -exec rm -rf {} +
python3.11 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3.11 /usr/lib/python3 -x 'lib2to3/tests|/test/'
