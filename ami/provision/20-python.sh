# The service and the machine's own programs in /opt/isochrone/venv, from wheels and without a network.
venv=/opt/isochrone/venv
rm -rf "$venv"
python3.11 -m venv --without-pip --symlinks "$venv"
pip=$(echo /run/build/wheels/pip-*.whl)
"$venv/bin/python" "$pip/pip" --isolated --no-cache-dir install --quiet --no-index \
    --find-links /run/build/wheels --no-compile --disable-pip-version-check isochrone-ami
# What packages bring for their own tests and examples: keys and passwords among it.
find "$venv/lib" -depth -type d \( -name tests -o -name testdata -o -path '*/boto3/examples' \) -exec rm -rf {} +
# Compiled files that do not depend on times: all of them, those too that Python has just written by itself.
"$venv/bin/python" -m compileall -q -f --invalidation-mode unchecked-hash "$venv/lib"
"$venv/bin/market" --help >/dev/null
# A module that cannot be imported is found here and not at the first boot.
for module in ami.node ami.node.reporter; do
    "$venv/bin/python" -m "$module" --help >/dev/null
done
"$venv/bin/python" - <<'PYTHON'
import importlib, pkgutil, ami.node
for module in pkgutil.walk_packages(ami.node.__path__, "ami.node."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
PYTHON
