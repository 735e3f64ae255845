//! The list of all cases, by group and topic, and the macro that makes a test of each.
//!
//! Groups: `every` for any engine; `driven` where the home drives time; `durable` where work survives the process;
//! `restarts` where both hold; `faults` where the home can also break and hold the disk.
//! A test below checks that no case is left out.

/// Makes a test of each conformance case for one engine.
///
/// `factory` is a path to a function without arguments that makes a [`Home`](crate::testkit::Home), absolute
/// (`crate::…`), since the tests stand in modules of their own. The crate needs `queue-core` with feature `testkit`.
///
/// ```ignore
/// queue_core::engine_conformance!(crate::memory_home; every, driven);
/// ```
#[macro_export]
macro_rules! engine_conformance {
    ($factory:path; $($group:ident),+ $(,)?) => { $( $crate::engine_conformance! { @$group $factory } )+ };
    (@every $factory:path) => {
        $crate::verbs_by_states!($factory);
        $crate::engine_conformance! { @cases $factory;
            backups {
                a_backup_is_made_or_refused_by_name,
                a_backups_name_is_one_plain_component_and_given_once,
                one_backup_at_a_time,
            }
            batches {
                a_queue_is_made_by_its_first_job,
                a_batch_gets_ascending_numbers_in_its_order,
                a_batch_with_one_bad_job_adds_none,
                a_batch_of_nothing_is_refused,
                ten_thousand_jobs_go_in_at_once_and_no_more,
                sixteen_mebibytes_go_in_at_once_and_no_more,
                payloads_are_kept_to_the_byte,
                a_batch_is_handed_out_in_its_order,
                a_batch_may_hold_waiting_and_delayed_jobs,
            }
            beats {
                a_beat_enters_the_worker_into_the_registry,
                workers_are_listed_by_name_each_once,
                a_worker_that_leaves_is_taken_out,
                a_beat_changes_no_state,
                a_beat_is_told_of_cancelled_jobs,
                a_beat_is_told_of_lost_leases,
                a_plain_beat_releases_nothing,
                a_reconnected_workers_other_leases_are_released,
                a_worker_that_leaves_may_give_back_what_it_does_not_hold,
                a_reconnected_worker_releases_no_other_workers_leases,
                a_beat_needs_a_workers_name,
                a_reconnected_worker_gives_back_any_number_of_leases,
                a_beat_has_its_bounds,
            }
            bounds {
                what_each_job_of_a_batch_carries_counts,
                what_no_connection_carries_is_refused_by_name,
                the_batch_with_the_most_around_its_bytes_is_taken,
                results_of_sixteen_mebibytes_are_settled_at_once_and_no_more,
                ten_thousand_failures_of_sixteen_mebibytes_are_settled_at_once_and_no_more,
                a_line_of_a_log_is_cut_at_eight_kibibytes,
                a_file_of_settings_names_at_most_a_thousand_queues_each_once,
                a_file_of_settings_is_its_own_source_whoever_applies_it,
            }
            clauses {
                clause_2_a_command_is_applied_whole_or_not_at_all,
                clause_3_each_command_sees_what_those_before_it_did,
                clause_4_a_refused_command_does_not_keep_the_others_from_being_applied,
                clause_5_a_call_without_commands_answers_nothing_and_writes_nothing,
                clause_6_calls_may_come_from_any_number_of_tasks,
                clause_7_an_older_token_is_refused_and_changes_nothing,
                clause_8_a_settlement_that_counted_answers_already_when_sent_again,
                clause_9_an_enqueue_with_a_known_id_answers_the_first_jobs_number,
                clause_10_a_job_is_in_exactly_one_state_and_counts_are_exact,
                clause_11_a_dropped_waiter_holds_a_job_no_longer_than_its_workers_next_beat,
                clause_12_waiting_leases_are_served_first_come_first_served,
                clause_14_every_change_stands_in_the_feed_once_in_order,
            }
            deaths {
                a_job_that_stalls_once_too_often_is_poison,
                no_stalls_allowed_means_dead_at_the_first,
                a_new_round_counts_stalls_anew,
                a_late_completion_of_a_poisoned_job_is_stale,
                a_job_that_nobody_starts_in_time_is_dead_of_expiry,
                a_delayed_job_expires_too,
                a_job_that_was_started_does_not_expire,
                every_leases_outcome_is_in_the_dead_letter,
            }
            feed {
                every_change_of_a_job_stands_in_the_feed_in_order,
                pages_of_any_size_give_the_same_events,
                a_cursor_goes_on_exactly_where_its_page_ended,
                without_a_cursor_the_feed_begins_now,
                the_cursor_zero_is_the_oldest_event_kept,
                what_is_refused_leaves_no_event,
                what_is_only_read_leaves_no_event,
                a_reader_waits_for_the_next_event,
                a_reader_waits_no_longer_than_asked,
                a_text_that_is_no_cursor_is_refused,
                a_page_of_the_feed_has_its_bounds,
                administrative_events_name_actor_and_reason,
                a_failures_event_carries_its_fingerprint,
            }
            feed_back {
                what_is_read_back_is_the_feed,
                a_page_read_back_ends_where_reading_goes_on,
                reading_back_says_how_many_it_leaves_out,
                every_event_has_a_cursor_of_its_own,
                reading_back_passes_long_batches,
                nothing_is_read_back_before_the_oldest,
                what_cannot_be_read_back_is_refused,
            }
            history {
                every_lease_is_a_row_of_the_timeline,
                a_failed_lease_keeps_kind_text_and_fingerprint,
                failures_of_one_cause_share_their_fingerprint,
                failures_of_other_causes_do_not,
                a_fingerprint_has_at_most_two_hundred_bytes,
                a_long_error_is_cut_at_eight_kibibytes,
                the_timeline_keeps_the_first_twenty_and_the_last_eighty,
                a_hundred_leases_are_all_kept,
                progress_replaces_what_was_reported_before,
                the_last_progress_stays_when_the_job_is_done,
                progress_and_log_need_the_newest_token,
                log_lines_are_kept_in_order_with_their_source,
                a_log_can_be_read_on_from_a_line,
                a_log_keeps_at_most_a_thousand_lines,
                a_log_keeps_at_most_sixty_four_kibibytes,
                the_log_of_a_job_is_one_over_all_its_leases,
            }
            identity {
                an_id_enqueued_again_answers_the_first_number_and_changes_nothing,
                an_id_twice_in_one_batch_makes_one_job,
                a_batch_run_again_adds_only_what_is_missing,
                an_id_belongs_to_its_queue,
                an_id_stays_known_when_its_job_is_done,
                an_id_is_remembered_when_its_job_is_removed,
                a_job_can_be_named_by_its_id,
                an_id_that_two_queues_know_needs_its_queue,
                a_job_that_does_not_exist_is_named_in_the_error,
                numbers_ascend_and_are_never_used_again,
                an_id_needs_a_character_that_is_not_a_digit,
            }
            leases {
                a_leased_job_is_not_handed_out_again,
                an_order_takes_at_most_its_limit,
                queues_are_looked_at_in_the_orders_order,
                a_queue_that_does_not_exist_counts_as_empty,
                tokens_only_grow,
                a_queues_lease_length_is_used,
                an_orders_own_lease_length_beats_the_queues,
                an_expired_lease_is_handed_out_again_as_the_same_attempt,
                an_extended_lease_gets_its_full_length_again,
                an_extension_may_ask_for_another_length,
                each_lease_of_an_extension_is_answered_in_order,
                a_lease_that_went_to_another_is_lost,
                a_lease_on_a_job_that_never_was_is_lost,
                an_extended_lease_of_a_cancelled_job_says_who_and_why,
                an_expired_lease_is_a_row_of_the_timeline,
                nothing_is_leased_from_an_empty_queue,
            }
            limits {
                a_priority_is_within_a_thousand,
                attempts_are_one_to_ten_thousand,
                durations_of_a_job_are_at_most_ten_years,
                a_run_at_is_before_the_year_ten_thousand,
                a_backoff_keeps_its_ranges,
                names_are_one_to_255_bytes,
                an_id_is_one_to_255_bytes,
                a_job_has_at_most_thirty_two_tags,
                headers_are_at_most_eight_kibibytes,
                a_payload_is_at_most_one_mebibyte,
                a_result_is_at_most_one_mebibyte,
                progress_is_at_most_four_kibibytes,
                an_order_asks_for_one_to_a_thousand_jobs,
                an_order_names_one_to_a_thousand_queues,
                a_lease_lasts_a_tenth_of_a_second_to_a_day,
                settings_of_a_queue_keep_their_ranges,
                a_new_time_is_at_most_ten_years_ahead,
                an_edit_changes_something_allowed,
                a_snooze_is_at_most_ten_years,
                a_wait_is_at_most_an_hour,
                a_filter_keeps_its_lengths,
                a_reason_is_at_most_a_thousand_bytes,
                a_message_shows_a_long_value_cut_and_on_one_line,
                job_number_zero_is_no_job,
            }
            operations {
                all_delayed_jobs_are_promoted,
                all_unfinished_jobs_are_cancelled,
                all_dead_jobs_are_redriven,
                all_jobs_but_the_active_are_removed,
                an_operation_means_only_what_its_filter_means,
                dead_jobs_are_redriven_by_reason_and_fingerprint,
                delayed_jobs_are_promoted_by_cause,
                an_operation_without_a_queue_means_every_queue,
                jobs_enqueued_after_it_began_are_not_its_own,
                an_operation_may_end_at_a_given_number,
                an_operation_shows_who_what_and_why,
                operations_are_listed_the_newest_first,
                a_running_operation_can_be_ended,
                an_ended_operation_cannot_be_ended,
                an_operation_that_never_was_is_refused,
                an_operation_on_a_queue_that_does_not_exist_is_refused,
                a_big_operation_takes_all_and_each_once,
                a_job_that_comes_back_is_not_taken_again,
                a_cancel_counts_a_job_once_though_its_lease_is_extended,
            }
            options {
                a_leased_job_carries_what_its_handler_needs,
                a_shown_job_tells_every_option,
                a_job_without_options_has_the_defaults,
                no_timeout_is_a_timeout_of_zero,
                a_delay_of_zero_waits_at_once,
                a_run_at_in_the_past_means_now,
                a_run_at_in_the_future_is_delayed_until_then,
                a_delayed_job_says_when_it_is_due_and_why,
                delay_and_run_at_exclude_each_other,
            }
            order {
                the_larger_priority_goes_first,
                within_a_priority_the_first_enqueued_goes_first,
                lifo_joins_the_front_of_its_priority,
                what_was_released_takes_its_old_place,
                what_is_released_in_any_order_is_handed_out_in_the_old_one,
                what_expired_takes_its_old_place,
                what_comes_due_joins_the_end,
                what_comes_due_together_joins_in_order_of_due_time,
                what_is_retried_after_a_failure_joins_the_end,
                what_is_redriven_joins_the_end,
                what_is_promoted_joins_the_end,
                what_gets_another_priority_joins_its_end,
                what_gets_another_payload_keeps_its_place,
                a_removed_or_cancelled_job_leaves_no_gap,
                a_released_urgent_job_still_goes_before_the_others,
            }
            pages {
                waiting_jobs_are_listed_in_serving_order,
                delayed_jobs_are_listed_by_due_time,
                delays_and_times_are_listed_together_by_due_time,
                active_jobs_are_listed_by_expiry,
                done_jobs_are_listed_from_the_latest_back,
                dead_and_cancelled_jobs_are_listed,
                a_row_says_what_the_shown_job_says,
                without_states_every_job_is_listed_once,
                without_queue_and_state_the_newest_job_is_first,
                without_a_queue_all_queues_are_listed,
                every_field_of_a_filter_must_match,
                a_list_since_a_time_has_the_jobs_that_came_into_their_state_since,
                a_list_since_a_time_looks_at_no_job_that_ended_before,
                an_operation_takes_the_jobs_of_a_time,
                a_sparse_filter_goes_on_through_empty_pages,
                a_list_goes_on_where_its_cursor_stands_though_jobs_came_and_went,
                a_list_goes_on_in_steps_where_the_job_at_its_cursor_is_gone,
                a_list_goes_on_in_steps_over_many_queues,
                a_page_of_a_list_has_its_bounds,
                a_text_that_is_no_lists_cursor_is_refused,
                listing_a_queue_that_does_not_exist_is_refused,
                counts_agree_with_lists,
            }
            promises {
                promise_2_an_expired_job_is_leased_again_until_its_stalls_are_exhausted,
                promise_3_a_stale_token_can_do_nothing,
                promise_4_the_books_balance_after_every_step,
                promise_5_no_job_completes_twice_however_many_workers_there_are,
                promise_5_a_done_job_is_leased_again_only_when_someone_asks,
                promise_6_neither_a_delay_nor_a_backoff_ends_early,
                promise_7_priority_then_arrival_decide_the_first_lease,
                promise_8_counted_attempts_never_exceed_their_bound,
                promise_11_a_pause_lets_running_jobs_finish_and_starts_no_other,
                promise_12_bad_input_takes_no_one_else_down,
            }
            retries {
                a_failed_job_is_delayed_with_cause_retry,
                attempts_count_from_one_to_their_bound_and_then_the_job_is_dead,
                one_attempt_is_one_try,
                a_release_does_not_count,
                a_snooze_does_not_count,
                a_snooze_without_a_time_follows_the_backoff,
                an_expiry_does_not_count_as_an_attempt,
                a_retry_by_hand_begins_a_new_round,
                an_edit_that_retries_does_both_or_neither,
                a_new_round_has_all_its_attempts,
                a_retried_completed_job_forgets_its_result_when_it_runs_anew,
                a_fixed_backoff_is_always_the_same,
                an_exponential_backoff_doubles_up_to_its_cap,
                an_exponential_backoff_grows_by_its_factor,
                jitter_adds_at_most_its_share,
                jitter_spreads,
            }
            search {
                a_search_finds_the_bytes_as_they_stand,
                a_search_looks_at_payloads_alone,
                a_search_goes_through_every_state_and_queue,
                every_other_field_of_a_search_must_match_too,
                a_row_that_is_found_says_what_the_shown_job_says,
                pages_of_any_size_find_the_same_jobs_in_the_same_order,
                a_search_that_finds_nothing_says_how_far_it_got,
                a_page_of_large_payloads_ends_early_and_the_search_goes_on,
                a_search_goes_on_where_its_cursor_stands_though_jobs_came_and_went,
                a_search_beside_changes_skips_and_repeats_nothing_that_stays,
                a_search_sees_what_the_commands_before_it_did,
                a_text_to_search_for_has_one_to_255_bytes,
                what_is_wrong_with_a_search_is_refused_as_in_a_list,
                an_operation_takes_no_text_to_search_for,
            }
            settings {
                a_queue_shows_every_setting_with_its_default,
                the_jobs_option_beats_the_queues_setting_and_that_the_default,
                what_concerns_a_job_is_resolved_when_it_is_enqueued,
                what_concerns_the_queue_is_read_when_it_is_used,
                a_set_value_names_who_set_it,
                setting_one_value_leaves_the_others,
                a_reset_value_is_the_default_again,
                setting_makes_the_queue,
                the_servers_file_is_a_source_of_its_own,
                the_servers_file_applied_again_changes_nothing,
                the_servers_file_overrides_by_hand_only_where_it_changed,
                a_bad_value_in_the_servers_file_applies_none_of_it,
                an_unknown_setting_cannot_be_reset,
                a_paused_queue_starts_no_job,
                a_pause_lets_running_jobs_finish,
                a_paused_queue_takes_new_jobs,
                a_paused_queue_says_who_paused_it_and_why,
                pausing_twice_and_resuming_twice_is_harmless,
                a_pause_is_one_queues,
                a_queue_shows_how_long_its_next_job_has_waited,
                a_queue_shows_how_long_its_oldest_job_has_waited,
                a_job_that_comes_back_waits_anew,
                queues_are_listed_by_name,
                queues_are_listed_in_pages,
            }
            settling {
                a_completion_sent_again_is_already_counted,
                a_failure_sent_again_is_already_counted,
                a_release_sent_again_is_already_counted,
                a_snooze_sent_again_is_already_counted,
                a_settlement_sent_again_is_already_counted_while_the_next_lease_runs,
                a_token_that_never_was_is_stale,
                a_token_of_another_job_is_stale,
                a_settlement_of_a_job_that_never_was_is_refused,
                a_settlement_after_the_expiry_counts_and_undoes_the_stall,
                a_failure_after_the_expiry_counts_as_the_attempt,
                a_settlement_after_the_job_went_to_another_is_stale,
                one_stale_settlement_does_not_undo_the_others,
                settling_may_lease_the_next_in_the_same_call,
                a_job_released_in_a_call_can_be_leased_by_the_same_call,
                a_completed_job_keeps_its_result_to_the_byte,
                a_completion_without_result_has_none,
                a_completion_counts_as_an_attempt,
                a_failure_that_cannot_be_retried_is_dead_at_once,
                a_completion_that_arrives_after_a_cancel_wins,
                what_is_failed_or_given_back_after_a_cancel_is_cancelled,
                a_lease_that_expires_after_a_cancel_is_cancelled,
            }
            statistics {
                what_happens_is_counted_by_store_queue_and_name,
                a_series_is_what_the_feed_tells,
                a_series_that_cannot_be_is_refused,
                the_activity_of_queues_is_listed_by_name,
                the_activity_of_a_queues_names_is_listed_by_name,
                the_names_that_come_too_late_share_a_series,
                failures_of_one_fingerprint_are_one_group,
                groups_of_failures_are_filtered,
                groups_of_failures_are_ordered_and_paged,
                failures_that_are_not_there_are_refused,
            }
            waits {
                a_waiting_lease_gets_the_next_job,
                a_lease_does_not_wait_while_a_job_is_ready,
                a_lease_that_waits_no_time_answers_at_once,
                a_waiting_lease_gives_up_when_its_time_is_over,
                a_waiting_lease_looks_at_all_its_queues,
                a_waiting_lease_takes_no_more_than_its_limit,
                waiting_leases_are_served_in_the_order_in_which_they_came,
                one_batch_serves_many_waiters,
                a_waiter_is_woken_by_a_release,
                a_waiter_is_woken_by_a_job_that_comes_due,
                a_waiter_is_woken_by_an_expired_lease,
                a_waiter_is_woken_by_a_promotion_and_a_retry,
                a_waiter_on_a_paused_queue_is_woken_by_the_resume,
                a_dropped_waiter_takes_no_job_with_it,
                who_waits_behind_a_dropped_waiter_is_served,
                a_lease_that_waits_too_long_is_refused,
                a_waiting_producer_gets_the_result,
                a_waiting_producer_gets_a_job_that_is_not_kept,
                a_waiting_producer_is_told_of_death_and_cancel,
                a_producer_does_not_wait_for_a_job_that_is_done,
                a_producer_waits_no_longer_than_asked,
                a_failed_attempt_does_not_end_the_wait,
                a_wait_for_a_removed_job_ends,
                a_wait_for_a_job_that_never_was_is_refused,
                a_job_can_be_waited_for_by_its_id,
                many_producers_may_wait_for_one_job,
            }
            workers {
                an_order_is_told_with_every_beat_until_one_says_that_it_was_obeyed,
                a_later_order_takes_the_place_of_one_that_was_not_obeyed,
                what_a_worker_does_already_is_no_order,
                a_worker_that_stops_takes_no_other_order,
                one_that_stops_by_itself_is_told_nothing_more,
                a_process_that_takes_the_name_has_no_orders,
                a_worker_that_is_not_there_is_refused_by_name,
                a_worker_is_shown_with_the_jobs_it_runs,
                workers_are_listed_page_by_page,
                a_page_of_workers_with_many_queues_is_short_and_goes_on,
            }
        }
    };
    (@driven $factory:path) => {
        $crate::engine_conformance! { @cases $factory;
            kept {
                the_last_thousand_completed_jobs_are_kept,
                what_is_due_does_not_wait_for_what_ages_out,
                a_queue_may_keep_fewer_or_none,
                completed_jobs_are_kept_a_day,
                cancelled_jobs_are_kept_alike,
                dead_jobs_are_kept_ninety_days_and_each_one_aged_out_is_counted,
                a_queue_sets_its_own_ages,
                an_age_of_zero_keeps_without_end,
                a_job_may_be_kept_shorter_or_longer_than_its_queue_keeps,
                a_job_kept_for_no_time_is_gone_when_it_completes,
                a_job_kept_for_its_own_time_is_not_among_the_last_thousand,
                a_retried_job_does_not_age_out,
                a_waiting_delayed_or_active_job_never_ages_out,
                an_id_is_remembered_a_day_after_its_job_is_gone,
                an_id_is_remembered_after_its_job_aged_out,
                a_queue_sets_how_long_ids_are_remembered,
                what_aged_out_is_in_the_books,
            }
            measures {
                durations_are_measured_from_ready_to_lease_to_settlement,
                a_lease_that_runs_out_counts_as_stalled,
                buckets_of_ten_seconds_reach_back_an_hour_and_those_of_a_minute_a_day,
                a_group_counts_by_minute_hour_day_and_week,
            }
            times {
                a_delay_ends_on_its_millisecond,
                a_delay_of_ten_years_ends_after_ten_years,
                a_backoff_ends_on_its_millisecond,
                the_default_backoff_is_about_six_and_a_half_hours_in_all,
                a_snooze_ends_on_its_millisecond,
                a_reschedule_moves_the_time,
                a_lease_ends_on_its_millisecond,
                an_extended_lease_ends_its_length_after_the_extension,
                an_unstarted_job_expires_on_its_millisecond,
                a_run_at_follows_the_wall_clock,
                a_wall_clock_that_jumps_an_hour_ahead_moves_no_delay_lease_or_retention,
                a_wall_clock_that_jumps_an_hour_back_moves_no_delay_lease_or_retention,
                a_wall_clock_that_jumps_a_year_ahead_moves_no_delay_lease_or_retention,
                a_wall_clock_that_jumps_a_year_back_moves_no_delay_lease_or_retention,
                a_settlement_answers_already_for_ten_minutes,
                a_cancelled_jobs_lease_is_not_extended_from_sixty_seconds_on,
                ten_thousand_returns_in_a_row_are_a_loop,
                progress_ends_a_loop,
                a_worker_that_is_silent_for_a_minute_is_gone,
                a_worker_that_is_gone_is_forgotten_after_a_day,
                a_short_lease_beside_a_long_one_ends_first,
                everything_due_in_one_long_step_happens_in_order_of_time,
            }
        }
    };
    (@durable $factory:path) => {
        $crate::engine_conformance! { @cases $factory;
            restores {
                clause_16_a_backup_under_load_has_what_was_acknowledged_and_a_whole_beginning_of_the_rest,
                clause_16_what_starts_from_a_backup_has_no_lease_and_returns_no_token,
            }
            durable {
                promise_1_acknowledged_enqueues_and_settlements_survive_kill_9,
                clause_1_everything_about_a_job_survives_a_clean_restart,
                clause_1_how_long_a_job_waits_survives_a_restart,
                clause_1_when_a_job_ended_survives_kill_9,
                clause_1_everything_about_a_job_survives_kill_9,
                clause_2_a_batch_is_whole_after_kill_9,
                clause_7_tokens_grow_across_restarts,
                clause_8_a_settlement_answers_already_across_a_restart,
                clause_9_ids_are_known_across_a_restart_also_those_of_gone_jobs,
                clause_14_a_cursor_goes_on_across_a_restart,
                a_live_lease_goes_on_after_a_restart,
                the_order_of_jobs_survives_a_restart,
                numbers_go_on_after_a_restart,
                settings_and_pauses_survive_a_restart,
                a_bulk_operation_goes_on_after_a_restart,
                a_cancel_of_a_running_job_survives_a_restart,
                a_done_job_stays_done_after_a_restart,
                the_registry_of_workers_is_empty_after_a_start,
                many_restarts_in_a_row_change_no_job,
                closing_ends_the_calls_that_wait,
                a_closed_engine_can_be_closed_again_and_is_unreachable,
            }
        }
    };
    (@restarts $factory:path) => {
        $crate::engine_conformance! { @cases $factory;
            restarts {
                ten_lease_lengths_of_downtime_poison_no_job,
                ten_lease_lengths_of_downtime_after_a_crash_poison_no_job,
                a_lease_nobody_comes_back_for_expires_once_after_the_start,
                a_lease_of_a_length_of_its_own_has_that_length_again_after_the_start,
                a_wall_clock_an_hour_ahead_at_the_start_harms_no_job,
                a_wall_clock_an_hour_back_at_the_start_harms_no_job,
                a_wall_clock_a_year_ahead_at_the_start_harms_no_job,
                a_wall_clock_a_year_back_at_the_start_harms_no_job,
                what_came_due_while_the_engine_was_down_is_due_at_its_start,
                a_delay_is_not_stuck_though_the_wall_clock_went_back,
                after_more_than_a_day_away_removal_by_age_waits_an_hour,
                a_clock_set_right_within_the_hour_has_removed_nothing,
                a_run_at_passed_while_down_runs_at_the_start,
                tokens_grow_though_the_wall_clock_went_back_a_year,
                what_the_servers_file_said_is_known_after_a_restart,
            }
        }
    };
    (@faults $factory:path) => {
        $crate::engine_conformance! { @cases $factory;
            faults {
                clause_5_a_call_without_commands_syncs_nothing,
                clause_6_concurrent_calls_share_a_sync,
                clause_13_nobody_is_answered_before_the_sync,
                clause_13_no_event_is_shown_before_the_sync,
                clause_13_what_a_power_cut_takes_back_was_shown_to_nobody,
                promise_1_acknowledged_work_survives_a_power_cut,
                clause_15_after_a_failed_write_every_call_answers_unknown,
                clause_15_a_waiting_call_ends_when_a_write_fails,
            }
        }
    };
    (@cases $factory:path; $($topic:ident { $($name:ident,)+ })+) => {
        $(
            mod $topic {
                $(
                    #[test]
                    fn $name() {
                        $crate::testkit::run(::std::boxed::Box::new($factory()), |rig| {
                            ::std::boxed::Box::pin($crate::testkit::$topic::$name(rig))
                        });
                    }
                )+
            }
        )+
    };
}

#[cfg(test)]
mod tests {
    const LIST: &str = include_str!("list.rs");

    fn check_listed(topic: &str, source: &str) {
        for line in source.lines() {
            let Some(case) = line.strip_prefix("pub async fn ") else { continue };
            let (name, arguments) = case.split_once('(').expect("a function has arguments");
            let listed = LIST.contains(&format!("                {name},\n"));
            assert!(listed || arguments != "rig: &Rig) {", "{topic}::{name} stands in no group");
        }
    }

    #[test]
    fn every_case_stands_in_a_group() {
        check_listed("backups", include_str!("backups.rs"));
        check_listed("restores", include_str!("restores.rs"));
        check_listed("batches", include_str!("batches.rs"));
        check_listed("beats", include_str!("beats.rs"));
        check_listed("bounds", include_str!("bounds.rs"));
        check_listed("clauses", include_str!("clauses.rs"));
        check_listed("deaths", include_str!("deaths.rs"));
        check_listed("feed", include_str!("feed.rs"));
        check_listed("history", include_str!("history.rs"));
        check_listed("identity", include_str!("identity.rs"));
        check_listed("leases", include_str!("leases.rs"));
        check_listed("limits", include_str!("limits.rs"));
        check_listed("measures", include_str!("measures.rs"));
        check_listed("operations", include_str!("operations.rs"));
        check_listed("options", include_str!("options.rs"));
        check_listed("order", include_str!("order.rs"));
        check_listed("pages", include_str!("pages.rs"));
        check_listed("promises", include_str!("promises.rs"));
        check_listed("retries", include_str!("retries.rs"));
        check_listed("search", include_str!("search.rs"));
        check_listed("settings", include_str!("settings.rs"));
        check_listed("settling", include_str!("settling.rs"));
        check_listed("statistics", include_str!("statistics.rs"));
        check_listed("waits", include_str!("waits.rs"));
        check_listed("workers", include_str!("workers.rs"));
        check_listed("kept", include_str!("kept.rs"));
        check_listed("times", include_str!("times.rs"));
        check_listed("durable", include_str!("durable.rs"));
        check_listed("restarts", include_str!("restarts.rs"));
        check_listed("faults", include_str!("faults.rs"));
    }
}
