#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "quic/conn.h"

void
quic_end(struct quic *q, bool tell_peer, bool by_peer, bool application, uint64_t code,
	 const char *text)
{
	if (q->ending)
		return;
	q->ending = true;
	q->tell_peer = tell_peer;
	q->end.by_peer = by_peer;
	q->end.application = application;
	q->end.code = code;
	log_clean(q->end.text, sizeof q->end.text, text, strlen(text));
}

static void
end_by_peer(struct quic *q)
{
	ngtcp2_connection_close_error e;
	char reason[96], text[160];
	bool application;

	if (q->stateless_reset) {
		quic_end(q, false, true, false, NGTCP2_NO_ERROR,
			 "the peer does not know this connection any more");
		return;
	}
	ngtcp2_conn_get_connection_close_error(q->conn, &e);
	application = e.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION;
	log_clean(reason, sizeof reason, e.reason, e.reasonlen);
	if (!application && e.error_code >= NGTCP2_CRYPTO_ERROR &&
	    e.error_code <= (NGTCP2_CRYPTO_ERROR | 0xff))
		snprintf(text, sizeof text, "the peer ended the handshake: %s",
			 SSL_alert_desc_string_long((int)(e.error_code & 0xff)));
	else if (reason[0] != '\0')
		snprintf(text, sizeof text, "the peer closed the connection: %s", reason);
	else
		snprintf(text, sizeof text, "the peer closed the connection (code %llu)",
			 (unsigned long long)e.error_code);
	quic_end(q, false, true, application, e.error_code, text);
}

static void
end_by_tls(struct quic *q)
{
	const char *why = q->tls != NULL ? quic_tls_error(q->tls) : "";
	uint8_t alert = ngtcp2_conn_get_tls_alert(q->conn);

	quic_end(q, true, false, false,
		 NGTCP2_CRYPTO_ERROR | (alert != 0 ? alert : SSL_AD_INTERNAL_ERROR),
		 why[0] != '\0' ? why : "the TLS handshake failed");
}

void
quic_fail(struct quic *q, int error)
{
	char text[160];

	switch (error) {
	case NGTCP2_ERR_DRAINING:
		end_by_peer(q);
		return;
	case NGTCP2_ERR_CRYPTO:
		end_by_tls(q);
		return;
	case NGTCP2_ERR_IDLE_CLOSE:
		q->end.silence = true;
		quic_end(q, false, false, false, NGTCP2_NO_ERROR,
			 "nothing was heard from the peer for too long");
		return;
	case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
		quic_end(q, false, false, false, NGTCP2_NO_ERROR,
			 "the peer did not complete the handshake in time");
		return;
	case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
		quic_end(q, false, true, false, NGTCP2_NO_ERROR,
			 "the peer does not speak version 1 of QUIC");
		return;
	case NGTCP2_ERR_CALLBACK_FAILURE:
	case NGTCP2_ERR_NOMEM:
		quic_end(q, true, false, false, NGTCP2_INTERNAL_ERROR,
			 "out of memory, or of randomness");
		return;
	default:
		snprintf(text, sizeof text, "QUIC: %s", ngtcp2_strerror(error));
		quic_end(q, true, false, false,
			 ngtcp2_err_infer_quic_transport_error_code(error), text);
	}
}

void
quic_finish(struct quic *q)
{
	if (q->tell_peer && q->conn != NULL)
		quic_send_close(q);
	q->state = QUIC_ENDED;
	quic_send_clear(q);
	quic_streams_lost(q);
	q->cb.ended(q->arg, &q->end);
}
