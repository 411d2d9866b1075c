#include <ngtcp2/ngtcp2.h>

#include "tests/tiny_windows.h"

uint64_t tiny_window, tiny_stream_window;

__typeof__(ngtcp2_conn_server_new_versioned) __real_ngtcp2_conn_server_new_versioned,
    __wrap_ngtcp2_conn_server_new_versioned;

int
__wrap_ngtcp2_conn_server_new_versioned(
    ngtcp2_conn **conn, const ngtcp2_cid *dcid, const ngtcp2_cid *scid,
    const ngtcp2_path *path, uint32_t version, int callbacks_version,
    const ngtcp2_callbacks *callbacks, int settings_version,
    const ngtcp2_settings *settings, int params_version,
    const ngtcp2_transport_params *params, const ngtcp2_mem *mem, void *user)
{
	ngtcp2_transport_params ours = *params;
	ngtcp2_settings fixed = *settings;

	if (tiny_window > 0) {
		ours.initial_max_data = tiny_window;
		ours.initial_max_stream_data_bidi_local = tiny_stream_window;
		ours.initial_max_stream_data_bidi_remote = tiny_stream_window;
		fixed.max_window = fixed.max_stream_window = 0; /* they do not grow */
	}
	return __real_ngtcp2_conn_server_new_versioned(conn, dcid, scid, path, version,
						       callbacks_version, callbacks,
						       settings_version, &fixed,
						       params_version, &ours, mem, user);
}
