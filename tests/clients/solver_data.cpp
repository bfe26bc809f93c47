// rocSOLVER's pointer on a handle, as used by the caller's C++ library: checks ownership, use counts and
// lifetimes. Runs under a tool that detects leaks and double frees.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <rocblas.h>
#include <thread>
#include <vector>

// As rocSOLVER imports them.
rocblas_status rocblas_internal_set_data_ptr(rocblas_handle, std::shared_ptr<void> &);
rocblas_status rocblas_internal_get_data_ptr(rocblas_handle, std::shared_ptr<void> &);

namespace {

#define CHECK(condition)                                                     \
    do {                                                                     \
        if (!(condition)) {                                                  \
            std::printf("line %d: not so: %s\n", __LINE__, #condition);      \
            std::exit(1);                                                    \
        }                                                                    \
    } while (0)

rocblas_handle create() {
    rocblas_handle handle = nullptr;
    CHECK(rocblas_create_handle(&handle) == rocblas_status_success);
    return handle;
}

void destroy(rocblas_handle handle) {
    CHECK(rocblas_destroy_handle(handle) == rocblas_status_success);
}

void set(rocblas_handle handle, std::shared_ptr<void> pointer) {
    auto status = rocblas_internal_set_data_ptr(handle, pointer);
    if (status != rocblas_status_success) {
        std::printf("set: %d\n", status);
        std::exit(1);
    }
}

std::shared_ptr<void> get(rocblas_handle handle) {
    std::shared_ptr<void> pointer;
    CHECK(rocblas_internal_get_data_ptr(handle, pointer) == rocblas_status_success);
    return pointer;
}

struct Counted {
    static std::atomic<int> alive;
    std::vector<char> contents = std::vector<char>(100);
    Counted() { ++alive; }
    ~Counted() { --alive; }
};
std::atomic<int> Counted::alive{0};

void owners_are_counted() {
    auto handle = create();
    std::shared_ptr<void> mine = std::make_shared<Counted>();
    CHECK(mine.use_count() == 1);
    CHECK(rocblas_internal_set_data_ptr(handle, mine) == rocblas_status_success);
    CHECK(mine.use_count() == 2);
    {
        auto again = get(handle);
        CHECK(again == mine && mine.use_count() == 3);
    }
    CHECK(mine.use_count() == 2);
    std::weak_ptr<void> weak = mine;
    mine.reset();
    CHECK(!weak.expired() && weak.use_count() == 1 && Counted::alive == 1);
    destroy(handle);
    CHECK(weak.expired() && weak.lock() == nullptr && Counted::alive == 0);
}

void an_object_outlives_its_handle_with_its_last_owner() {
    auto handle = create();
    set(handle, std::make_shared<Counted>());
    auto mine = get(handle);
    CHECK(mine.use_count() == 2);
    destroy(handle);
    CHECK(mine.use_count() == 1 && Counted::alive == 1);
    mine.reset();
    CHECK(Counted::alive == 0);
}

void overwriting_deletes_the_old_once() {
    auto handle = create();
    int deleted = 0;
    // Not made by make_shared: the object and its control block are two pieces of memory.
    set(handle, std::shared_ptr<int>(new int(7), [&](int *number) {
            ++deleted;
            delete number;
        }));
    CHECK(deleted == 0);
    set(handle, std::make_shared<Counted>());
    CHECK(deleted == 1 && Counted::alive == 1);
    auto same = get(handle);
    set(handle, same);
    CHECK(same.use_count() == 2 && Counted::alive == 1);
    same.reset();
    set(handle, nullptr);
    CHECK(deleted == 1 && Counted::alive == 0 && get(handle) == nullptr);
    destroy(handle);
}

void getting_into_an_occupied_pointer_releases_it() {
    auto handle = create();
    set(handle, std::make_shared<Counted>());
    std::shared_ptr<void> occupied = std::make_shared<Counted>();
    CHECK(Counted::alive == 2);
    CHECK(rocblas_internal_get_data_ptr(handle, occupied) == rocblas_status_success);
    CHECK(Counted::alive == 1 && occupied.use_count() == 2);
    // Into a pointer that already owns the entry.
    CHECK(rocblas_internal_get_data_ptr(handle, occupied) == rocblas_status_success);
    CHECK(occupied.use_count() == 2);
    destroy(handle);
    // A new handle has nothing, whether or not it is at the old one's address.
    auto next = create();
    CHECK(rocblas_internal_get_data_ptr(next, occupied) == rocblas_status_success);
    CHECK(occupied == nullptr && Counted::alive == 0);
    destroy(next);
}

void an_alias_keeps_its_address_and_its_owner() {
    auto handle = create();
    auto owner = std::make_shared<Counted>();
    set(handle, std::shared_ptr<void>(owner, owner->contents.data()));
    CHECK(get(handle).get() == owner->contents.data());
    CHECK(owner.use_count() == 2);
    // A pointer without an owner.
    int local = 0;
    set(handle, std::shared_ptr<void>(std::shared_ptr<void>(), &local));
    CHECK(get(handle).get() == &local && get(handle).use_count() == 0 && owner.use_count() == 1);
    destroy(handle);
}

void handles_have_their_own() {
    auto one = create(), two = create();
    auto mine = std::make_shared<int>(1), other = std::make_shared<int>(2);
    set(one, mine);
    set(two, other);
    CHECK(get(one) == mine && get(two) == other);
    destroy(one);
    CHECK(mine.use_count() == 1 && get(two) == other);
    destroy(two);
    CHECK(other.use_count() == 1);
}

void no_handle_is_an_error() {
    std::shared_ptr<void> mine = std::make_shared<int>(1);
    CHECK(rocblas_internal_set_data_ptr(nullptr, mine) == rocblas_status_invalid_handle);
    CHECK(rocblas_internal_get_data_ptr(nullptr, mine) == rocblas_status_invalid_handle);
    CHECK(mine.use_count() == 1);
}

void a_deleter_may_call_back() {
    auto one = create(), two = create();
    set(one, std::shared_ptr<void>(static_cast<void *>(&two), [&](void *) {
            set(two, std::make_shared<Counted>());
        }));
    destroy(one);
    CHECK(Counted::alive == 1);
    destroy(two);
    CHECK(Counted::alive == 0);
}

void eight_threads() {
    auto common = create();
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([common] {
            for (int round = 0; round < 300; ++round) {
                auto own = create();
                set(own, std::make_shared<Counted>());
                auto mine = get(own);
                CHECK(mine.use_count() == 2);
                set(common, mine);
                mine = get(common);
                CHECK(mine != nullptr);
                destroy(own);
            }
        });
    }
    for (auto &thread : threads) thread.join();
    CHECK(Counted::alive == 1);
    destroy(common);
    CHECK(Counted::alive == 0);
}

} // namespace

int main() {
    owners_are_counted();
    an_object_outlives_its_handle_with_its_last_owner();
    overwriting_deletes_the_old_once();
    getting_into_an_occupied_pointer_releases_it();
    an_alias_keeps_its_address_and_its_owner();
    handles_have_their_own();
    no_handle_is_an_error();
    a_deleter_may_call_back();
    eight_threads();
    std::puts("all so");
}
