#!/usr/bin/env python3
"""What the QR code says that `mpcproxy invite --qr` has drawn on standard input, as libzbar
reads it. Exits with 77 where there is no libzbar."""

import ctypes
import re
import sys

SCALE = 4
BLOCKS = {' ': (0, 0), '\N{UPPER HALF BLOCK}': (1, 0), '\N{LOWER HALF BLOCK}': (0, 1),
          '\N{FULL BLOCK}': (1, 1)}
LINE = re.compile('\033\\[30;107m([^\033]*)\033\\[0m')

try:
    zbar = ctypes.CDLL('libzbar.so.0')
except OSError as exc:
    print(exc)
    sys.exit(77)
for name in ('zbar_image_create', 'zbar_image_scanner_create', 'zbar_image_first_symbol'):
    getattr(zbar, name).restype = ctypes.c_void_p
zbar.zbar_symbol_get_data.restype = ctypes.c_char_p

rows = []
for text in LINE.findall(sys.stdin.read()):
    for half in (0, 1):
        rows.append([0 if BLOCKS[c][half] else 255 for c in text])
if not rows:
    sys.exit('no QR code there')
pixels = bytes(p for row in rows for _ in range(SCALE) for p in row for _ in range(SCALE))
width, height = len(rows[0]) * SCALE, len(rows) * SCALE

image = ctypes.c_void_p(zbar.zbar_image_create())
zbar.zbar_image_set_format(image, ctypes.c_ulong(int.from_bytes(b'Y800', 'little')))
zbar.zbar_image_set_size(image, width, height)
zbar.zbar_image_set_data(image, pixels, ctypes.c_ulong(len(pixels)), None)
scanner = ctypes.c_void_p(zbar.zbar_image_scanner_create())
if zbar.zbar_scan_image(scanner, image) != 1:
    sys.exit('no reader would find one QR code in it')
symbol = ctypes.c_void_p(zbar.zbar_image_first_symbol(image))
print(zbar.zbar_symbol_get_data(symbol).decode())
