/* Tells a tracer which variables a program asks its C library for: a name becomes a system call that does nothing but be
 * seen, `access("\1getenv NAME")`. Preloaded into dynamically linked programs by `parallax probe`, and by nothing else.
 * It brings no library of its own along: what it needs, every C library for Linux has. */

extern char **environ;
extern int access(const char *path, int mode);
extern int *__errno_location(void);

#define NAMES 4096
#define LONGEST 200

static unsigned long told[NAMES];

static void tell(const char *name)
{
    static const char mark[] = "\1getenv ";
    char path[sizeof mark + LONGEST];
    unsigned long hash = 5381;
    unsigned long length = 0, at, tries;
    int error;

    while (name[length] && length < LONGEST)
        hash = hash * 33 ^ (unsigned char)name[length++];
    hash |= 1;
    /* Each name once: some programs ask for the same one a thousand times. */
    for (tries = 0; tries < 64; tries++) {
        unsigned long *place = &told[(hash / 2 + tries) % NAMES];
        unsigned long empty = 0;
        if (__atomic_compare_exchange_n(place, &empty, hash, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            break;
        if (empty == hash)
            return;
    }
    for (at = 0; at < sizeof mark - 1; at++)
        path[at] = mark[at];
    for (at = 0; at < length; at++)
        path[sizeof mark - 1 + at] = name[at];
    path[sizeof mark - 1 + length] = 0;
    error = *__errno_location();
    access(path, 0);
    *__errno_location() = error;
}

char *getenv(const char *name)
{
    char **entry = environ;

    if (!name || !*name)
        return 0;
    tell(name);
    for (; entry && *entry; entry++) {
        const char *left = *entry, *right = name;
        while (*right && *left == *right)
            left++, right++;
        if (!*right && *left == '=')
            return (char *)left + 1;
    }
    return 0;
}

/* Pods have no set-user-id programs, so that both are the same. */
char *secure_getenv(const char *name)
{
    return getenv(name);
}

char *__secure_getenv(const char *name)
{
    return getenv(name);
}
