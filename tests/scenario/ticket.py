#!/usr/bin/env python3
"""A ticket that is another one, with a checksum that is right.

ticket.py TICKET secret    its secret has another first bit: an old ticket of the same host
ticket.py TICKET time      it expired an hour ago
"""

import base64
import hashlib
import sys
import time

text = sys.argv[1][len('mpc1:'):]
data = bytearray(base64.urlsafe_b64decode(text + '=' * (-len(text) % 4)))
if sys.argv[2] == 'secret':
    data[2] ^= 0x80
elif sys.argv[2] == 'time':
    data[51:55] = (int(time.time()) - 3600).to_bytes(4, 'big')
else:
    sys.exit(__doc__)
data[-4:] = hashlib.sha256(b'mpcproxy ticket\0' + data[:-4]).digest()[:4]
print('mpc1:' + base64.urlsafe_b64encode(data).decode().rstrip('='))
