#include <string.h>

#include <stun/stunagent.h>
#include <stun/usages/ice.h>

#include "path/stun_answer.h"

/* Requests have a name, a password's MAC and a few fixed attributes. */
#define REQUEST_MAX 1280

static const uint16_t known_attributes[] = {
    STUN_ATTRIBUTE_USERNAME,       STUN_ATTRIBUTE_MESSAGE_INTEGRITY,
    STUN_ATTRIBUTE_PRIORITY,       STUN_ATTRIBUTE_USE_CANDIDATE,
    STUN_ATTRIBUTE_ICE_CONTROLLED, STUN_ATTRIBUTE_ICE_CONTROLLING,
    STUN_ATTRIBUTE_FINGERPRINT,    0,
};

bool
stun_is_message(const uint8_t *data, size_t len)
{
	return len > 0 && data[0] < 4;
}

size_t
stun_answer(const struct stun_credentials *c, const union addr *source,
	    const uint8_t *data, size_t len, uint8_t out[STUN_ANSWER_MAX])
{
	StunDefaultValidaterData valid[] = {
	    {(uint8_t *)c->username, strlen(c->username), (uint8_t *)c->password,
	     strlen(c->password)},
	    {NULL, 0, NULL, 0},
	};
	struct sockaddr_storage from = {0};
	StunAgent agent;
	StunMessage request, response;
	size_t response_len = STUN_ANSWER_MAX;
	bool control = c->controlling;

	if (len > REQUEST_MAX)
		return 0;
	stun_agent_init(&agent, known_attributes, STUN_COMPATIBILITY_RFC5389,
			STUN_AGENT_USAGE_SHORT_TERM_CREDENTIALS |
			    STUN_AGENT_USAGE_USE_FINGERPRINT);
	if (stun_agent_validate(&agent, &request, data, len, stun_agent_default_validater,
				valid) != STUN_VALIDATION_SUCCESS ||
	    stun_message_get_class(&request) != STUN_REQUEST ||
	    stun_message_get_method(&request) != STUN_BINDING)
		return 0;
	memcpy(&from, source, addr_len(source));
	if (stun_usage_ice_conncheck_create_reply(&agent, &request, &response, out,
						  &response_len, &from,
						  (socklen_t)addr_len(source), &control,
						  0,
						  STUN_USAGE_ICE_COMPATIBILITY_RFC5245) !=
	    STUN_USAGE_ICE_RETURN_SUCCESS)
		return 0;
	return response_len;
}
