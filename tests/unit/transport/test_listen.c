/* Listening sockets: the port that was asked for, or any free one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/listen.h"

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void port_zero_is_any_free_one_and_accepts(void **state)
{
    (void)state;
    uint16_t port = 0;
    int fd = -1;
    struct ps_text why = { "" };
    assert_int_equal(ps_listen_tcp("127.0.0.1", &port, false, &fd, &why), PS_OK);
    assert_int_not_equal(port, 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    int client = connect_to(port);
    assert_true(client >= 0);
    close(client);
    close(fd);
    assert_int_equal(connect_to(port), -1);
}

static void a_taken_port_is_refused_unless_it_is_shared(void **state)
{
    (void)state;
    uint16_t port = 0, same, shared_port = 0;
    int fd, other = -1;
    struct ps_text why = { "" };
    assert_int_equal(ps_listen_tcp("127.0.0.1", &port, false, &fd, &why), PS_OK);
    same = port;
    assert_int_equal(ps_listen_tcp("127.0.0.1", &same, false, &other, &why), PS_EIO);
    assert_int_equal(other, -1);
    assert_int_equal(same, port);
    assert_true(why.data[0]);
    close(fd);
    assert_int_equal(ps_listen_tcp("127.0.0.1", &shared_port, true, &fd, &why), PS_OK);
    same = shared_port;
    assert_int_equal(ps_listen_tcp("127.0.0.1", &same, true, &other, &why), PS_OK);
    assert_int_equal(same, shared_port);
    close(other);
    close(fd);
}

static void only_numeric_addresses_are_taken(void **state)
{
    (void)state;
    static const char *const wrong[] = { "", "localhost", "127.0.0", "1.2.3.4.5", "::g", "[::1]" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint16_t port = 0;
        int fd = -1;
        struct ps_text why = { "" };
        assert_int_equal(ps_listen_tcp(wrong[i], &port, false, &fd, &why), PS_EINVAL);
        assert_int_equal(fd, -1);
        assert_true(why.data[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_zero_is_any_free_one_and_accepts),
        cmocka_unit_test(a_taken_port_is_refused_unless_it_is_shared),
        cmocka_unit_test(only_numeric_addresses_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
