# The initramfs, with the drivers of every machine that the image may boot on.
kernel=$(basename /lib/modules/*)
update-initramfs -c -k "$kernel" || update-initramfs -u -k "$kernel"
