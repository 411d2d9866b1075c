#!/usr/bin/python3
"""A router that says it maps ports (UPnP) and is wrong, lies or hangs.

    router.py ADDRESS KIND

It answers the search (SSDP) at ADDRESS, describes itself at port 5000 there, and takes
requests for mappings, of which it makes none. KIND says in what it differs from others:

    private        its outside address is a private one: another NAT is behind it
    foreign        its outside address is somebody else's
    words          its outside address is none
    permanent      it maps for ever only (error 725)
    taken          every port is taken (error 718)
    elsewhere      its answer to the search sends one to another machine
    control        its description sends one to another machine
    nonsense       its description is none
    hanging        it takes connections and says nothing
"""

import http.server
import socket
import struct
import sys
import threading

PORT = 5000
GROUP = ('239.255.255.250', 1900)
ELSEWHERE = '203.0.113.30:3000'
SERVICE = 'urn:schemas-upnp-org:service:WANIPConnection:1'
DEVICE = 'urn:schemas-upnp-org:device:InternetGatewayDevice:1'

DESCRIPTION = """<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor>
</specVersion><device><deviceType>{device}</deviceType><deviceList><device>
<deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType><deviceList><device>
<deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList><service>
<serviceType>{service}</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId>
<controlURL>{control}</controlURL><eventSubURL>/event</eventSubURL><SCPDURL>/scpd</SCPDURL>
</service></serviceList></device></deviceList></device></deviceList></device></root>
"""

ANSWER = """<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>
"""

FAULT = ('<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>'
         '<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>{}</errorCode>'
         '</UPnPError></detail></s:Fault>')


class Handler(http.server.BaseHTTPRequestHandler):
    kind = ''

    def send(self, status, text):
        if self.kind == 'hanging':
            threading.Event().wait()
        data = text.encode('latin-1')
        self.send_response(status)
        self.send_header('Content-Type', 'text/xml')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.kind == 'nonsense':
            self.send(200, '\xff<' * 5000 + '<controlURL>http://' + 'x' * 3000)
            return
        control = f'http://{ELSEWHERE}/control' if self.kind == 'control' else '/control'
        self.send(200, DESCRIPTION.format(device=DEVICE, service=SERVICE, control=control))

    def do_POST(self):
        action = self.headers['SOAPAction'].strip('"').rsplit('#', 1)[-1]
        self.rfile.read(int(self.headers['Content-Length']))
        if action == 'GetExternalIPAddress':
            outside = {'private': '192.168.77.1', 'foreign': '9.9.9.9',
                       'words': '&quot;; reboot'}.get(self.kind, '198.51.100.99')
            self.send(200, ANSWER.format(
                f'<u:{action}Response xmlns:u="{SERVICE}"><NewExternalIPAddress>{outside}'
                f'</NewExternalIPAddress></u:{action}Response>'))
        elif self.kind in ('permanent', 'taken'):
            self.send(500, ANSWER.format(FAULT.format(725 if self.kind == 'permanent' else 718)))
        else:
            self.send(200, ANSWER.format(f'<u:{action}Response xmlns:u="{SERVICE}"/>'))

    def log_message(self, text, *arguments):
        print(text % arguments, flush=True)


def answer_searches(address, kind):
    where = ELSEWHERE if kind == 'elsewhere' else f'{address}:{PORT}'
    answer = (f'HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: {DEVICE}\r\n'
              f'USN: uuid:00000000-0000-0000-0000-000000000000::{DEVICE}\r\nEXT:\r\n'
              f'SERVER: Linux UPnP/1.1 liar/1\r\nLOCATION: http://{where}/description.xml\r\n\r\n')
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(GROUP)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                 struct.pack('4s4s', socket.inet_aton(GROUP[0]), socket.inet_aton(address)))
    while True:
        data, source = s.recvfrom(2048)
        if data.startswith(b'M-SEARCH'):
            s.sendto(answer.encode(), source)


def main():
    address, Handler.kind = sys.argv[1:]
    threading.Thread(target=answer_searches, args=(address, Handler.kind), daemon=True).start()
    http.server.ThreadingHTTPServer((address, PORT), Handler).serve_forever()


if __name__ == '__main__':
    main()
