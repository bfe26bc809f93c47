// rocSOLVER's use of a handle: shared pointers set, replaced, read and gone with their handle, by
// libstdc++ on this side and the shim on the other. Exits with the number of what was wrong.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <rocblas.h>
#include <thread>
#include <vector>

int set_data(rocblas_handle, std::shared_ptr<void> &)
    asm("_Z29rocblas_internal_set_data_ptrP15_rocblas_handleRSt10shared_ptrIvE");
int get_data(rocblas_handle, std::shared_ptr<void> &)
    asm("_Z29rocblas_internal_get_data_ptrP15_rocblas_handleRSt10shared_ptrIvE");

static int wrong;
static void expect(bool right, const char *what) {
    if (!right) {
        std::printf("wrong: %s\n", what);
        wrong++;
    }
}

struct Data {
    explicit Data(int value) : value(value) {}
    ~Data() { value = -1; }
    int value;
    char padding[100] = {};
};

int main() {
    rocblas_handle handle = nullptr, other = reinterpret_cast<rocblas_handle>(&wrong);
    expect(rocblas_create_handle(&handle) == 0, "create");
    std::shared_ptr<void> empty;
    expect(set_data(nullptr, empty) == 1 && get_data(nullptr, empty) == 1, "null handles");
    expect(get_data(handle, empty) == 0 && !empty, "nothing set yet");

    std::shared_ptr<void> made = std::make_shared<Data>(7);
    std::weak_ptr<void> watch = made;
    expect(set_data(handle, made) == 0 && made.use_count() == 2, "set counts one use");
    std::shared_ptr<void> read;
    expect(get_data(handle, read) == 0 && read == made && made.use_count() == 3, "get counts one");
    made.reset();
    read.reset();
    expect(!watch.expired() && watch.use_count() == 1, "the handle keeps it");

    int deleted = 0;
    std::shared_ptr<void> custom(new Data(8), [&](void *p) {
        deleted++;
        delete static_cast<Data *>(p);
    });
    expect(set_data(handle, custom) == 0 && watch.expired(), "replacing lets the old one go");
    std::shared_ptr<void> occupied = std::make_shared<Data>(9);
    std::weak_ptr<void> old = occupied;
    expect(get_data(handle, occupied) == 0 && old.expired(), "get lets go of what was there");
    expect(static_cast<Data *>(occupied.get())->value == 8, "get reads the object");
    expect(get_data(other, occupied) == 0 && !occupied, "handles do not share");
    custom.reset();
    expect(deleted == 0, "still kept");
    expect(rocblas_destroy_handle(handle) == 0 && deleted == 1, "gone with its handle");
    expect(get_data(handle, read) == 0 && !read, "and not found again");

    std::vector<std::thread> threads;
    for (int t = 0; t < 8; t++) {
        threads.emplace_back([] {
            rocblas_handle own = reinterpret_cast<rocblas_handle>(new int);
            for (int i = 0; i < 200; i++) {
                std::shared_ptr<void> mine = std::make_shared<Data>(i), got;
                set_data(own, mine);
                get_data(own, got);
                if (got != mine) std::abort();
            }
            std::shared_ptr<void> none;
            set_data(own, none);
            delete reinterpret_cast<int *>(own);
        });
    }
    for (std::thread &thread : threads) thread.join();
    if (!wrong) std::printf("right\n");
    return wrong;
}
