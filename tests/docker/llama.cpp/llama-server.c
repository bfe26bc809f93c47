/* Responds to /health, and to every other request as if a model had called a tool. Computes at the start and
 * for each of these other requests. Exits on SIGTERM. */
#include "ggml-hip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t ended;
static void end(int signal) { ended = signal; }

static void answer(int client) {
    static const char call[] =
        "{\"choices\":[{\"finish_reason\":\"tool_calls\",\"message\":{\"role\":\"assistant\","
        "\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\","
        "\"arguments\":\"{\\\"city\\\":\\\"Paris\\\"}\"}}]}}]}";
    char request[65536];
    ssize_t read_bytes = read(client, request, sizeof request - 1);
    if (read_bytes <= 0) return;
    request[read_bytes] = 0;
    const int is_health = strncmp(request, "GET /health", 11) == 0;
    const int status = is_health ? 0 : solve_tri();
    const char *body = is_health ? "{\"status\":\"ok\"}" : status ? "{\"error\":\"rocBLAS\"}" : call;
    dprintf(client,
            "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
            "Connection: close\r\n\r\n%s",
            status ? "500 Internal Server Error" : "200 OK", strlen(body), body);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--version") == 0) return puts("version: stand-in") < 0;
    const struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, 0);
    const int status = solve_tri();
    if (status) return fprintf(stderr, "SOLVE_TRI failed: %d\n", status), 1;
    const char *port = getenv("LLAMA_ARG_PORT"), *host = getenv("LLAMA_ARG_HOST");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port ? atoi(port) : 8080)};
    inet_pton(AF_INET, host ? host : "127.0.0.1", &address.sin_addr);
    const int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16))
        return perror("llama-server"), 1;
    puts("server is listening");
    fflush(stdout);
    while (!ended) {
        const int client = accept(listener, 0, 0);
        if (client < 0) {
            if (errno == EINTR) continue;
            return perror("accept"), 1;
        }
        answer(client);
        close(client);
    }
    puts("stopped");
    return 0;
}
