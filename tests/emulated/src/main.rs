//! Tests of the library on the bare machine, from one source for Intel and AMD processors.
//!
//! With `expect=unsupported` the processor lacks something that a virtual processor needs, and the tests of the errors run.
//! With `only=NAME`, only tests whose names contain it.
#![no_std]
#![no_main]

extern crate alloc;

mod bench;
mod boundaries;
mod check_svm;
mod check_vmx;
mod code;
mod completion;
mod controls;
mod controls_vmx;
mod coverage;
mod debug;
mod differential;
mod dirty;
mod entry_svm;
mod entry_vmx;
mod events;
mod exceptions;
mod exit_table;
mod exits;
mod failures_vmx;
mod feature;
mod fields_vmx;
mod flushes;
mod guest;
mod guest_paging;
mod harness;
mod intercepts_svm;
mod interrupts;
mod kick;
mod life_cycle;
mod memory;
mod migration;
mod mmio;
mod moving;
mod nested_tables;
mod nmi;
mod odd_frames;
mod out_of_frames;
mod page_attributes;
mod paging;
mod permissions;
mod probe;
mod random_guests;
mod raw_vmx;
mod redelivery;
mod refused_entry;
mod registers;
mod requests;
mod shadow;
mod shootdown;
mod soak;
mod software_msrs;
mod start_up;
mod state;
mod stepping;
mod storm;
mod sub_pages;
mod time;
mod together;
mod unsupported;
mod vendor_exits;
mod views;
mod virtual_apic;
mod world_switch;

use bench::Bench;
use feature::Feature;
use harness::{On, Test};
use machine::Verdict;
use x86_virt::Vendor;

machine::entry!(main);

/// Defines the list of tests.
macro_rules! tests {
    ($($module:ident { $($name:ident: $on:expr,)* })*) => {
        &[$($(Test {
            name: concat!(stringify!($module), "::", stringify!($name)),
            on: $on,
            run: $module::$name,
        },)*)*]
    };
}

/// The tests for a processor that lacks something.
const UNSUPPORTED: &[Test] = tests! {
    unsupported {
        is_named: On::First,
        root_works_afterwards: On::First,
        disabled_by_firmware: On::Others,
    }
};

const TESTS: &[Test] = tests! {
    world_switch {
        registers_survive: On::Every,
        registers_survive_with_resident_state: On::Every,
        registers_survive_with_resident_segments: On::Every,
    }
    boundaries {
        interrupts_disabled: On::Alone,
        interrupts_enabled: On::Alone,
        resident_state: On::Alone,
        resident_segments: On::AloneOf(Vendor::Amd),
        nmis_with_resident_segments: On::AloneOf(Vendor::Amd),
        acknowledged: On::AloneOf(Vendor::Intel),
        nmis: On::Alone,
    }
    debug {
        breakpoint_is_the_guests_own: On::Every,
        breakpoints_of_a_debugger: On::Every,
        a_breakpoint_in_a_loop: On::Every,
        endless_exceptions_end: On::Every,
    }
    interrupts {
        self_sent_come_once: On::Every,
        acknowledged_come_once: On::Only(Vendor::Intel),
        timer_during_exits: On::Every,
    }
    nmi {
        self_sent_end_the_run: On::Every,
        timer_during_exits: On::First,
    }
    memory {
        one_page_of_4_gib: On::Alone,
    }
    paging {
        page_of_2_mib: On::Every,
        page_of_1_gib: On::Every,
        changes_hold_at_the_next_entry: On::Every,
        protection_holds_at_the_next_entry: On::Every,
        execution_can_be_denied: On::Every,
    }
    flushes {
        once_after_a_change: On::Every,
        more_vcpus_than_asids: On::Every,
    }
    views {
        the_host_switches: On::Every,
        the_guest_switches: On::Only(Vendor::Intel),
        invalid_functions_end_a_run: On::Only(Vendor::Intel),
        changes_hold_in_all_spaces: On::Only(Vendor::Intel),
        violations_are_delivered: On::Only(Vendor::Intel),
    }
    sub_pages {
        parts_of_a_page_can_be_written: On::Only(Vendor::Intel),
    }
    dirty {
        pages_are_found_once: On::Every,
        more_than_a_log_holds: On::Every,
        large_pages_stay: On::Every,
        flags_are_harvested: On::Every,
    }
    guest_paging {
        faults_are_the_processors: On::Alone,
    }
    page_attributes {
        agree_with_a_plain_map: On::Only(Vendor::Intel),
    }
    nested_tables {
        reach_as_far_as_the_host: On::Every,
        agree_with_a_plain_map: On::Every,
    }
    permissions {
        msr_by_direction: On::Every,
        passed_msr_keeps_its_value: On::Every,
        msr_out_of_range: On::Every,
        ports: On::Every,
    }
    software_msrs {
        tsc_aux: On::Every,
        spec_ctrl: On::Every,
        xsaves: On::Every,
    }
    entry_vmx {
        invalid_control: On::Only(Vendor::Intel),
        invalid_host_state: On::Only(Vendor::Intel),
        invalid_guest_state: On::Only(Vendor::Intel),
        invalid_link_pointer: On::Only(Vendor::Intel),
        msr_that_cannot_be_loaded: On::Only(Vendor::Intel),
        unsupported_field: On::Only(Vendor::Intel),
    }
    failures_vmx {
        without_a_vmcs: On::Only(Vendor::Intel),
        with_a_vmcs: On::Only(Vendor::Intel),
        entries_out_of_order: On::Only(Vendor::Intel),
        vmcs_taken_away: On::Only(Vendor::Intel),
        vmxon_is_refused: On::Only(Vendor::Intel),
        vmcs_is_refused: On::Only(Vendor::Intel),
        load_gives_back: On::Only(Vendor::Intel),
        invept_is_refused: On::Only(Vendor::Intel),
    }
    entry_svm {
        invalid_guest_state: On::Only(Vendor::Amd),
        missing_intercept_of_vmrun: On::Only(Vendor::Amd),
    }
    refused_entry {
        is_told_in_common_words: On::Every,
        leaves_no_window_open: On::Every,
    }
    check_svm {
        agrees_with_the_processor: On::Only(Vendor::Amd),
    }
    controls_vmx {
        that_end_a_run: On::AloneOf(Vendor::Intel),
    }
    fields_vmx {
        every_one: On::AloneOf(Vendor::Intel),
    }
    intercepts_svm {
        of_instructions: On::AloneOf(Vendor::Amd),
    }
    vendor_exits {
        descriptor_table_access: On::Every,
        task_switch: On::Only(Vendor::Intel),
    }
    life_cycle {
        enter_and_leave: On::Every,
        second_enter_is_refused: On::Every,
        park_and_load: On::Every,
        host_changes_between_loads: On::Every,
        forgotten_vcpu: On::Every,
        current_pointer: On::Only(Vendor::Intel),
    }
    out_of_frames {
        creation_fails_and_nothing_leaks: On::Every,
        mapping_fails_and_nothing_leaks: On::Every,
    }
    events {
        exception_with_error_code: On::Every,
        every_exception: On::Every,
        invalid_events_are_refused: On::Every,
        interrupt_waits_for_the_window: On::Every,
        interrupt_waits_for_popf: On::Every,
        nmi_blocks_the_next: On::Every,
        cancelled_events_do_not_come: On::Every,
        real_mode_events: On::Every,
    }
    shadow {
        an_interrupt_comes_at_once: On::Every,
        events_come_at_once: On::Every,
        the_window_is_open: On::Every,
        a_breakpoint_is_met: On::Every,
        a_step_is_made: On::Every,
        nothing_is_left_of_it: On::Every,
        nobody_sees_it: On::Every,
    }
    requests {
        come_once_each: On::Every,
        interrupt_waits_for_sti: On::Every,
        interrupt_waits_for_the_task_priority: On::Every,
        withdrawn_do_not_come: On::Every,
        nmi_waits_for_iret: On::Every,
        nmi_waits_for_iret_in_a_shadow: On::Every,
        nmi_waits_for_the_shadow: On::Every,
        nmi_window: On::Every,
        nmis_stay_blocked_over_a_fault_in_iret: On::Every,
        exceptions_in_a_delivery_are_merged: On::Every,
        a_step_comes_first: On::Every,
        global_interrupt_flag: On::Every,
        virtual_gif: On::Every,
    }
    virtual_apic {
        cr8_needs_no_exit: On::Only(Vendor::Intel),
        an_interrupt_waits_for_cr8: On::Only(Vendor::Intel),
        a_threshold_ends_a_run: On::Only(Vendor::Intel),
        accesses_in_memory: On::Only(Vendor::Intel),
        registers_in_memory: On::Only(Vendor::Intel),
        registers_in_msrs: On::Only(Vendor::Intel),
        interrupts_by_priority: On::Only(Vendor::Intel),
        interrupts_wait: On::Only(Vendor::Intel),
        self_ipi_and_eoi: On::Only(Vendor::Intel),
        interrupts_in_memory: On::Only(Vendor::Intel),
        requests_are_handed_over: On::Only(Vendor::Intel),
        state_is_restored: On::Only(Vendor::Intel),
        a_delivery_is_interrupted: On::Only(Vendor::Intel),
        goes_along_when_it_is_unloaded: On::Only(Vendor::Intel),
        what_is_missing_is_named: On::Only(Vendor::Intel),
    }
    kick {
        before_the_entry: On::Every,
    }
    exceptions {
        of_the_guest: On::Alone,
    }
    redelivery {
        interrupt: On::Every,
        nmi: On::Every,
        exception_with_error_code: On::Every,
        exception_of_the_guest: On::Alone,
        software_interrupt: On::Every,
        breakpoint: On::Every,
    }
    exits {
        long_mode: On::Every,
        protected_mode: On::Every,
        real_mode: On::Every,
        next_rip_at_the_end_of_a_segment: On::Every,
    }
    completion {
        answers: On::Every,
        single_step: On::Every,
        exceptions: On::Every,
    }
    stepping {
        flags_and_shadows: On::Every,
        repetitions_and_exits: On::Every,
        system_calls: On::Every,
        handlers: On::Every,
        interrupts_wait_for_shadows: On::Every,
        of_a_guest_that_steps: On::Every,
        other_modes: On::Every,
        unseen_by_a_guest_that_checks: On::Every,
    }
    state {
        goes_on_after_every_exit: On::Every,
        what_cannot_be_is_refused: On::Every,
        activities: On::Every,
    }
    controls {
        intercepts_change: On::Every,
        page_faults_are_filtered: On::Every,
        owned_bits_change_without_an_exit: On::Every,
        loops_of_pause_end_a_run: On::Every,
        ranges_of_msrs: On::Every,
        cr3_targets: On::Only(Vendor::Intel),
    }
    time {
        the_counter_is_the_guests: On::Every,
        msrs_are_answered: On::Every,
        the_counter_is_scaled: On::Every,
        deadlines_are_kept: On::Every,
        deadlines_of_what_does_not_run: On::Every,
    }
    random_guests {
        survived: On::Alone,
    }
    mmio {
        long_mode: On::Every,
        protected_mode: On::Every,
        real_mode: On::Every,
        across_pages: On::Every,
    }
};

/// The tests that run only if they are asked for by name: the soak, which is for long runs, and the check of entries, as
/// `cargo xtask diff-entry` does: after some of its states Bochs 2.7 goes on with SMIs blocked, and reports that of every guest.
const APART: &[Test] = tests! {
    soak {
        nothing_is_lost: On::Every,
    }
    check_vmx {
        agrees_with_the_processor: On::Only(Vendor::Intel),
    }
};

/// The test of which a part is done on another machine, with `carry` on the command line, as `cargo xtask test` does.
const CARRY: &[Test] = &[Test { name: "state::between_machines", on: On::First, run: state::carry::between_machines }];

/// The tests for which the processors work together.
const TOGETHER: &[Test] = tests! {
    moving {
        guest_goes_on_elsewhere: On::Every,
    }
    kick {
        from_another_processor: On::Every,
    }
    storm {
        at_any_moment: On::Every,
    }
    migration {
        copy_is_complete: On::Every,
    }
    shootdown {
        stale_translations_are_not_used: On::Every,
        splits_and_merges_are_not_seen: On::Every,
    }
    // Last: a processor stays in VMX operation.
    start_up {
        init_ends_the_run: On::Only(Vendor::Intel),
    }
};

fn main() -> Verdict {
    bench::take_memory();
    for missing in Feature::ALL.into_iter().filter(|feature| !feature::has(*feature)) {
        machine::println!("not on this machine, and what depends on it is not tested: {missing:?}");
    }
    machine::on_every_processor(run);
    coverage::print();
    harness::verdict()
}

fn run(processor: usize) {
    let bench = Bench::new(processor);
    if machine::arg("expect") == Some("unsupported") {
        harness::run(&bench, UNSUPPORTED);
        return;
    }
    if machine::arg("carry").is_some() {
        harness::run(&bench, CARRY);
        return;
    }
    harness::run(&bench, TESTS);
    if machine::arg("only").is_some() {
        harness::run(&bench, APART);
    }
    if machine::processors() > 1 {
        harness::run(&bench, TOGETHER);
    }
}
