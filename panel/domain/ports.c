/* Port mappings. See ports.h. Pure. */
#include "panel/domain/ports.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "panel/domain/text.h"

/* Copy the trimmed stretch to out; false when it doesn't fit. */
static bool take(const char *s, size_t len, char *out, size_t size)
{
    while (len && *s == ' ') {
        s++;
        len--;
    }
    while (len && s[len - 1] == ' ')
        len--;
    if (len >= size)
        return false;
    memcpy(out, s, len);
    out[len] = '\0';
    return true;
}

static bool read_port(const char *s, bool may_be_auto, uint16_t *ret_port)
{
    uint64_t n;
    if (may_be_auto && strcasecmp(s, "auto") == 0) {
        *ret_port = 0;
        return true;
    }
    if (!text_parse_uint(s, 65535, &n) || (!n && !may_be_auto))
        return false;
    *ret_port = (uint16_t)n;
    return true;
}

static bool read_protocol(char *item, struct port_mapping *port)
{
    char *slash = strchr(item, '/');
    port->tcp = port->udp = true;
    if (!slash)
        return true;
    *slash = '\0';
    port->tcp = strcasecmp(slash + 1, "tcp") == 0;
    port->udp = strcasecmp(slash + 1, "udp") == 0;
    return port->tcp || port->udp;
}

static bool read_mapping(const char *s, size_t len, struct port_mapping *port)
{
    char item[32], left[16], right[16] = "auto";
    if (!take(s, len, item, sizeof(item)) || !read_protocol(item, port))
        return false;
    char *colon = strchr(item, ':');
    if (colon && !take(colon + 1, strlen(colon + 1), right, sizeof(right)))
        return false;
    return take(item, colon ? (size_t)(colon - item) : strlen(item), left, sizeof(left)) &&
           read_port(left, false, &port->container_port) &&
           read_port(right, true, &port->host_port);
}

static bool overlap(const struct port_mapping *a, const struct port_mapping *b)
{
    return a->host_port && a->host_port == b->host_port &&
           ((a->tcp && b->tcp) || (a->udp && b->udp));
}

int ports_parse(const char *field, const char *s, struct port_mapping out[PORTS_MAX],
                size_t *ret_count, struct err *err)
{
    size_t count = 0;
    for (;;) {
        size_t len = strcspn(s, ",");
        if (count == PORTS_MAX)
            return err_field(err, ERR_INVALID, "invalid_field", field,
                             "The field \"%s\" may hold at most %d mappings.", field, PORTS_MAX);
        struct port_mapping port;
        if (!read_mapping(s, len, &port))
            return err_field(err, ERR_INVALID, "invalid_field", field,
                             "The field \"%s\" has to be mappings container:host such as "
                             "8080:18080,9000:19000/udp with ports from 1 to 65535.",
                             field);
        for (size_t i = 0; i < count; i++) {
            if (overlap(&out[i], &port))
                return err_field(err, ERR_INVALID, "invalid_field", field,
                                 "The field \"%s\" uses host port %u twice.", field,
                                 port.host_port);
        }
        out[count++] = port;
        if (!s[len])
            break;
        s += len + 1;
    }
    *ret_count = count;
    return 0;
}

static bool has_host_port(const struct port_mapping *ports, size_t count, uint16_t host)
{
    for (size_t i = 0; i < count; i++) {
        if (ports[i].host_port == host)
            return true;
    }
    return false;
}

int ports_parse_primary(const char *field, const char *s, const struct port_mapping *ports,
                        size_t count, uint16_t *ret_port, struct err *err)
{
    struct port_mapping pair = {0};
    char text[16];
    bool is_pair = strchr(s, ':') != NULL;
    bool fine =
        is_pair ? read_mapping(s, strlen(s), &pair)
                : take(s, strlen(s), text, sizeof(text)) && read_port(text, true, &pair.host_port);
    if (!fine)
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" has to be a host port such as 18080, or 0 for the first "
                         "mapping's.",
                         field);
    if (pair.host_port && !has_host_port(ports, count, pair.host_port))
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" names host port %u, which is not among \"ports\".",
                         field, pair.host_port);
    if (!pair.host_port && is_pair && pair.container_port != ports[0].container_port)
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" can leave the host port open only for the first of "
                         "\"ports\".",
                         field);
    *ret_port = pair.host_port;
    return 0;
}

int ports_parse_range(const char *field, const char *s, struct port_range *ret_range,
                      struct err *err)
{
    char first[16];
    char last[16];
    const char *dash = strchr(s, '-');
    struct port_range range;
    if (!dash || !take(s, (size_t)(dash - s), first, sizeof(first)) ||
        !take(dash + 1, strlen(dash + 1), last, sizeof(last)) ||
        !read_port(first, false, &range.first) || !read_port(last, false, &range.last) ||
        range.first > range.last)
        return err_field(
            err, ERR_INVALID, "invalid_field", field,
            "The field \"%s\" has to be a range of ports such as 25000-25999, from 1 to "
            "65535 and the lower one first, or null.",
            field);
    *ret_range = range;
    return 0;
}
