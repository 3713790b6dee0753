/* The first process of a container started with --init: forwards signals to the user's program, reaps orphans, and
 * ends with the program's status (128+n after signal n). Freestanding, so that it needs nothing of the image and
 * some 10 KB of memory. Called as `docker-init -- PROGRAM ARGS...`; see build.sh.
 */
typedef unsigned long word;

#define SIGCHLD 17
#define SIGTTIN 21
#define SIGTTOU 22
#define SIG_SETMASK 2
#define WNOHANG 1
#define TIOCSPGRP 0x5410
#define ENOENT 2
#define EACCES 13

#if defined(__x86_64__)
enum { nr_write = 1, nr_ioctl = 16, nr_clone = 56, nr_execve = 59, nr_exit = 60, nr_wait4 = 61, nr_kill = 62, nr_setpgid = 109,
       nr_getpid = 39, nr_sigprocmask = 14, nr_sigtimedwait = 128 };
static word call(word n, word a, word b, word c, word d, word e) {
    word r;
    register word r10 __asm__("r10") = d;
    register word r8 __asm__("r8") = e;
    __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return r;
}
__asm__(".globl _start\n_start:\n mov %rsp,%rdi\n and $-16,%rsp\n call start\n");
#elif defined(__aarch64__)
enum { nr_write = 64, nr_ioctl = 29, nr_clone = 220, nr_execve = 221, nr_exit = 93, nr_wait4 = 260, nr_kill = 129, nr_setpgid = 154,
       nr_getpid = 172, nr_sigprocmask = 135, nr_sigtimedwait = 137 };
static word call(word n, word a, word b, word c, word d, word e) {
    register word x8 __asm__("x8") = n;
    register word x0 __asm__("x0") = a;
    register word x1 __asm__("x1") = b;
    register word x2 __asm__("x2") = c;
    register word x3 __asm__("x3") = d;
    register word x4 __asm__("x4") = e;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}
__asm__(".globl _start\n_start:\n mov x0,sp\n bl start\n");
#endif

static word length(const char *s) {
    word n = 0;
    while (s[n]) n++;
    return n;
}

static void say(const char *s) { call(nr_write, 2, (word)s, length(s), 0, 0); }

static _Noreturn void leave(int status) {
    for (;;) call(nr_exit, status, 0, 0, 0, 0);
}

static const char *search_path(char **env) {
    for (; *env; env++)
        if (env[0][0] == 'P' && env[0][1] == 'A' && env[0][2] == 'T' && env[0][3] == 'H' && env[0][4] == '=') return *env + 5;
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static int has_slash(const char *s) {
    for (; *s; s++)
        if (*s == '/') return 1;
    return 0;
}

/* execvp: the last error but ENOENT wins, as in a shell. */
static long execute(char **argv, char **env) {
    if (has_slash(argv[0])) return (long)call(nr_execve, (word)argv[0], (word)argv, (word)env, 0, 0);
    static char path[4096];
    long error = -ENOENT;
    word size = length(argv[0]);
    for (const char *from = search_path(env); *from;) {
        word n = 0;
        while (from[n] && from[n] != ':') n++;
        if (n + size + 2 < sizeof path) {
            char *to = path;
            for (word i = 0; i < n; i++) *to++ = from[i];
            if (n) *to++ = '/';
            for (word i = 0; i <= size; i++) *to++ = argv[0][i];
            long failed = (long)call(nr_execve, (word)path, (word)argv, (word)env, 0, 0);
            if (failed != -ENOENT) error = failed;
        }
        from += n + (from[n] == ':');
    }
    return error;
}

static _Noreturn void become_program(char **argv, char **env, word *old_mask) {
    call(nr_setpgid, 0, 0, 0, 0, 0);
    /* Take the terminal, where standard input is one. SIGTTOU is still blocked, so this does not stop us. */
    int group = (int)call(nr_getpid, 0, 0, 0, 0, 0);
    call(nr_ioctl, 0, TIOCSPGRP, (word)&group, 0, 0);
    call(nr_sigprocmask, SIG_SETMASK, (word)old_mask, 0, 8, 0);
    long error = execute(argv, env);
    say("docker-init: exec ");
    say(argv[0]);
    say(error == -ENOENT ? ": No such file or directory\n" : error == -EACCES ? ": Permission denied\n" : ": cannot execute\n");
    leave(error == -ENOENT ? 127 : 126);
}

/* Everything that is over; answers the program's status once it is among them, else -1. */
static int reap(long program) {
    int found = -1;
    for (;;) {
        int status = 0;
        long pid = (long)call(nr_wait4, -1UL, (word)&status, WNOHANG, 0, 0);
        if (pid <= 0) return found;
        if (pid == program) found = status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
    }
}

_Noreturn __attribute__((used)) void start(word *stack) {
    int argc = (int)stack[0];
    char **argv = (char **)(stack + 1), **env = argv + argc + 1;
    argv++;
    if (*argv && argv[0][0] == '-' && argv[0][1] == '-' && !argv[0][2]) argv++;
    if (!*argv) {
        say("docker-init: no program given\n");
        leave(1);
    }
    /* All but the faults of our own making: SEGV 11, BUS 7, ILL 4, FPE 8, TRAP 5, SYS 31, ABRT 6. */
    word all = ~0UL & ~(1UL << 10 | 1UL << 6 | 1UL << 3 | 1UL << 7 | 1UL << 4 | 1UL << 30 | 1UL << 5), old_mask = 0;
    call(nr_sigprocmask, SIG_SETMASK, (word)&all, (word)&old_mask, 8, 0);
    long program = (long)call(nr_clone, SIGCHLD, 0, 0, 0, 0);
    if (program == 0) become_program(argv, env, &old_mask);
    if (program < 0) {
        say("docker-init: cannot fork\n");
        leave(1);
    }
    for (;;) {
        long signal = (long)call(nr_sigtimedwait, (word)&all, 0, 0, 8, 0);
        if (signal == SIGCHLD) {
            int status = reap(program);
            if (status >= 0) leave(status);
        } else if (signal > 0 && signal != SIGTTIN && signal != SIGTTOU) {
            call(nr_kill, program, signal, 0, 0, 0);
        }
    }
}
