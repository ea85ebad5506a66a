"""What the proxy promises of the wire, row by row, and where each promise is tested with exact bytes over TLS.

The rows are those of the project's wire specification, sections 1 to 6; a few stand with the deadlines and streams of
`tests/promises`, because they need a process of their own.
"""

import ast
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent

TABLE: Final[dict[str, dict[str, str]]] = {
    "1. Request head": {
        "METHOD SP target SP HTTP/1.1 CRLF": "well_formed_lines_pass_unchanged, a_head_may_come_in_pieces, "
        "the_hundredth_request_of_a_shape_passes_like_the_first",
        "HTTP/1.0: closed, forwarded as 1.1": "http_10_is_forwarded_as_11_and_closed, an_http_10_client_gets_no_chunks",
        "other versions, blanks, tabs": "other_lines_are_refused_and_the_connection_closes",
        "a malformed HEAD is answered as HEAD": "a_malformed_head_gets_no_body_either",
        "one leading CRLF, no more": "one_empty_line_before_a_request_is_ignored, more_than_one_empty_line_is_refused",
        "methods: tokens, per route, CONNECT and TRACE": "methods_that_the_route_lists_pass, "
        "methods_that_the_route_does_not_list_are_405, connect_and_trace_are_405_whatever_the_target",
        "target: origin-form, 8190 bytes": "a_target_of_8190_bytes_passes, a_longer_target_is_414, "
        "a_request_line_without_end_is_414",
        "OPTIONS *": "options_star_is_answered_here, options_star_says_when_the_connection_ends",
        "paths with two readings": "two_readings_are_none, the_rest_never_passes, an_unknown_user_learns_no_paths",
        "unusual_path": "a_route_may_ask_for_unusual_paths",
        "decided on the once-decoded path, by whole segments": "routes_match_the_decoded_path, "
        "routes_match_whole_segments, a_prefix_opens_itself_and_what_is_below, an_exact_route_is_its_path_alone",
        "the client's bytes are forwarded": "one_reading_passes_byte_for_byte, a_rewrite_keeps_all_other_bytes, "
        "a_prefix_that_is_not_there_is_not_stripped, what_would_be_no_path_without_its_prefix_is_refused",
        "field line": "well_formed_fields_pass, malformed_fields_are_refused, "
        "a_blank_before_the_first_field_is_refused, lines_end_with_crlf_and_nothing_else",
        "head 32 KiB, line 8190, 100 fields": "a_head_of_32_kib_passes, a_larger_head_is_431, a_head_without_end_is_431, "
        "a_field_line_of_8190_bytes_passes, a_longer_field_line_is_431, a_hundred_fields_pass, "
        "more_than_a_hundred_fields_are_431, limits_are_configurable",
        "Host": "a_well_formed_host_passes_as_it_is, any_other_host_is_refused, hosts_are_compared_folded, "
        "a_host_without_a_route_is_421",
        "fields that stand once": "fields_that_stand_once, other_fields_may_be_repeated",
        "names with _ or .": "no_spelling_of_an_identity_field_passes, unusual_names_outside_the_families_pass, "
        "a_listener_may_drop_all_unusual_names, imitations_of_framing_fields_are_no_framing",
    },
    "2. Framing": {
        "Content-Length: 1 to 18 digits, once": "a_length_of_1_to_18_digits_counts, any_other_length_is_refused, "
        "a_length_of_18_digits_is_no_reason_to_refuse",
        "Transfer-Encoding: chunked, alone, 1.1": "only_chunked_is_a_coding, two_framings_are_refused",
        "chunk lines": "chunks_are_framed_anew, broken_chunks_are_refused, "
        "chunks_broken_from_the_start_are_refused_too, many_small_chunks",
        "trailers": "identity_in_trailers_goes_nowhere, chunks_are_framed_anew, broken_chunks_are_refused",
        "one request at a time, in order": "pipelined_requests_are_answered_in_order, a_pipelined_request_behind_a_body, "
        "requests_wait_while_one_is_in_progress, refused_requests_do_not_pile_up, answers_do_not_pile_up, "
        "a_paused_client_gets_everything_once_it_reads, a_connection_reads_on_after_a_pipelined_beginning, "
        "nothing_is_read_behind_connection_close",
        "a body cut short is never completed": "a_client_that_goes_away_leaves_nothing_whole, "
        "a_cut_within_a_head_is_no_request",
        "Expect": "a_refusal_does_not_ask_for_the_body, the_upstreams_100_is_passed_on_once, "
        "after_a_second_the_proxy_asks_itself, an_upstream_may_refuse_without_the_body, other_expectations_are_417, "
        "a_client_that_does_not_wait_is_served, without_a_body_there_is_nothing_to_ask_for, "
        "an_http_10_expectation_is_ignored, 100_continue_is_never_written_into_an_answer",
        "body_methods": "a_body_where_none_belongs_is_refused, a_body_where_none_belongs_is_refused_on_public_routes_too, "
        "a_length_of_nothing_is_no_body, a_route_says_which_methods_have_bodies, a_body_arrives_whole",
        "a refused body": "a_refused_body_is_never_the_next_request, a_large_refused_body_ends_the_connection, "
        "refusals_do_not_end_the_connection",
        "reuse": "connections_are_reused, no_reuse_after_an_early_answer, no_reuse_when_bytes_are_left_over, "
        "no_reuse_when_bytes_come_late, no_reuse_where_the_upstream_says_so, "
        "no_reuse_after_a_body_where_the_upstream_leaves_bodies_unread, "
        "no_reuse_when_the_answer_began_before_the_request_ended",
    },
    "3. What goes upstream": {
        "hop-by-hop": "hop_by_hop_fields_end_here, te_trailers_passes_as_our_own, fields_that_connection_names_end_here, "
        "framing_is_written_once",
        "Connection names what is relied on": "connection_names_nothing_that_is_relied_on, connection_options_are_tokens",
        "identity family": "no_spelling_of_an_identity_field_passes, our_own_stands_exactly_once, "
        "a_public_route_tells_of_nobody, names_outside_the_families_pass, empty_facts_give_no_header, "
        "good_in_one_request_is_nothing_in_the_next",
        "our tokens and cookies": "our_tokens_do_not_pass_public_routes, foreign_credentials_pass_public_routes, "
        "a_route_may_forward_the_credential, other_cookies_pass_unchanged, our_cookies_end_here",
        "X-Forwarded-* and kin": "a_stranger_is_not_believed_about_addresses, "
        "a_trusted_peers_chain_is_read_from_right_to_left, a_trusted_peers_chain_is_extended, "
        "a_trusted_peer_is_believed_about_scheme_host_and_port, a_trusted_peers_nonsense_is_not_passed_on, "
        "no_open_quote_takes_our_own_word_into_it, "
        "a_trusted_peer_may_speak_forwarded_alone, trust_in_addresses_is_no_trust_in_identity, "
        "networks_are_asked_about_the_client",
        "X-Request-Id": "every_request_has_an_id_of_its_own, a_strangers_id_is_not_taken, a_trusted_peers_id_is_taken, "
        "of_two_ids_none_is_taken, a_trusted_peers_odd_id_is_made_anew",
        "everything else": "end_to_end_fields_pass, fields_keep_their_order_and_spelling",
        "Host": "host_is_the_clients_or_the_upstreams",
        "a route's own fields": "a_route_sets_and_removes_fields, "
        "what_a_route_sets_or_removes_of_the_origin_is_not_told_twice, a_field_that_a_route_sets_has_no_second_spelling",
    },
    "4. The answer": {
        "a head within 64 KiB": "status_and_fields_pass, the_upstreams_reason_phrase_is_not_passed_on, "
        "hop_by_hop_and_reserved_fields_end_here, fields_that_the_upstreams_connection_names_end_here, "
        "the_upstreams_connection_cannot_take_the_framing_away, set_cookie_passes_but_for_our_own, "
        "a_head_within_64_kib_passes, a_head_of_64_kib_is_the_largest, an_upstreams_id_is_not_passed_on",
        "bodies": "every_framing_arrives_whole, an_answer_may_come_in_pieces, a_long_answer_arrives_whole, "
        "encoded_bodies_are_not_touched, trailers_of_an_answer_are_dropped, "
        "every_event_is_out_before_the_next_one_comes, answers_of_the_upstream_are_not_lost_to_its_close",
        "1xx": "early_hints_pass, a_100_that_nobody_asked_for_passes, other_interim_answers_are_dropped, "
        "interim_answers_are_not_for_http_10, at_most_eight_interim_answers",
        "101": "a_websocket_passes, early_bytes_of_both_sides_arrive, a_tunnel_carries_any_bytes, "
        "a_client_that_goes_away_ends_the_tunnel, an_upstream_that_goes_away_ends_the_tunnel, "
        "an_upgrade_that_is_none_is_not_forwarded, a_101_to_another_protocol_is_502, a_101_to_a_body_is_502, "
        "an_upgrade_needs_a_credential, an_http_10_upgrade_is_ignored, "
        "a_request_behind_a_granted_upgrade_belongs_to_the_tunnel, another_protocol_passes_where_a_route_allows_it, "
        "a_client_that_has_said_its_last_still_hears, an_upstream_that_has_said_its_last_still_hears, "
        "another_protocol_ends_for_the_client_as_it_ended_upstream, "
        "another_protocol_ends_for_the_upstream_as_the_client_ended_it, "
        "a_protocol_that_a_route_does_not_name_is_not_asked_for",
        "an upgrade answered with anything else": "any_other_answer_is_an_ordinary_one, "
        "a_refused_upgrade_with_a_body_leaves_the_connection_in_order, a_request_behind_a_refused_upgrade_is_the_next_one",
        "malformed, wrong length, bytes behind": "a_malformed_answer_is_502, an_answer_that_breaks_off_never_ends_cleanly, "
        "an_answer_until_close_needs_a_clean_close, what_breaks_late_cuts_the_client, "
        "the_next_answer_is_never_the_last_ones_rest, a_client_that_goes_away_ends_the_upstreams_answer",
        "close-delimited": "every_framing_arrives_whole, an_http_10_client_gets_no_chunks",
        "HEAD, 204, 304": "head_has_no_body, head_keeps_the_length, 204_and_304_have_no_body, 304_keeps_the_length, "
        "a_body_behind_head_is_nobodys_answer, a_refusal_of_head_has_no_body",
        "tried again": "a_stale_connection_is_tried_again, it_is_tried_again_once_only, "
        "what_may_count_twice_is_not_tried_again, nothing_is_tried_again_after_the_first_byte, "
        "nothing_is_tried_again_after_an_interim_answer, an_idle_connection_that_the_upstream_closed_costs_nothing, "
        "an_upgrade_is_not_tried_again",
        "502, 504, JSON or a page": "an_upstream_that_is_not_there_or_not_itself_is_502, "
        "an_upstream_that_is_not_there_gets_no_body, programs_get_json_and_people_a_page, "
        "a_credential_is_asked_for_before_the_upstream, an_upstream_that_does_not_answer_is_504",
        "an answer before the end of the request": "an_early_answer_reaches_a_client_that_is_still_sending, "
        "no_reuse_after_an_early_answer, an_upload_goes_on_for_as_long_as_its_bytes_come_after_an_early_answer, "
        "an_upload_that_stops_after_an_early_answer_is_the_clients_fault",
    },
    "5. Time and size": {
        "handshake": "a_client_without_a_handshake_is_let_go",
        "head": "a_head_that_does_not_end_is_408, a_head_that_dribbles_is_408_too, a_silent_connection_is_closed",
        "body": "a_body_that_does_not_come_is_408, a_refused_body_that_does_not_come_ends_the_connection, "
        "an_upstream_that_does_not_take_the_body_is_504",
        "max_body": "a_body_above_the_limit_is_413, a_body_at_the_limit_passes",
        "answer": "an_answers_head_that_does_not_end_is_504, an_upstream_that_never_shakes_hands_is_504, "
        "an_answer_that_stops_is_cut, a_client_that_is_served_waits_as_long_as_it_takes",
        "idle connections and tunnels": "an_idle_connection_is_closed, a_silent_tunnel_ends",
        "others are not held up": "one_slow_client_does_not_hold_up_another",
    },
    "6. Credentials": {
        "Bearer or Token": "a_good_token_passes, a_token_in_capitals_passes",
        "other schemes, or none": "without_a_credential_of_ours_the_challenge_is_bare",
        "bad tokens": "a_bad_token_is_called_invalid_and_nothing_more, all_refusals_of_a_credential_are_alike, "
        "zones_are_isolated, the_reason_stands_in_the_log_only, a_route_admits_groups, no_user_agent_opens_anything",
        "never in query, cookie or form": "a_token_elsewhere_is_never_read",
        "own answers": "own_answers_say_so, refusals_name_hsts_where_it_is_on, a_route_decides_about_hsts_for_both",
    },
    "Own pages": {
        "health": "health_is_answered_here, health_is_logged_under_the_id_that_it_says, "
        "health_and_proxied_requests_alternate, health_of_head_and_http_10, health_says_when_it_closes, "
        "health_takes_a_query, odd_health_requests_leave_the_connection_in_order, "
        "a_body_to_health_is_not_read_as_the_next_request, only_the_path_itself_is_open, "
        "any_method_gets_an_own_answer, a_listener_without_health_has_none",
    },
}  # fmt: skip

WHOLE: Final[dict[str, str]] = {
    "test_certificates.py": "6. Credentials: client certificates",
    "test_lifetime.py": "5. Time and size: requests of a connection, and clients that send or take too slowly",
    "test_limits.py": "5. Time and size: bad credentials of a source, and upgraded connections of a user",
    "test_preflight.py": "Own pages: CORS preflights",
    "test_redirect.py": "Own pages: plain HTTP is sent to https",
}
"""Files that hold one promise each."""


def _tests() -> set[str]:
    found = set()
    for path in HERE.glob("test_*.py"):
        if path.name != Path(__file__).name and path.name not in WHOLE:
            nodes = ast.walk(ast.parse(path.read_text()))
            found |= {
                node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
            }
    return found


def _named() -> set[str]:
    rows = [row for section in TABLE.values() for row in section.values()]
    return {f"test_{name.strip()}" for row in rows for name in row.split(",")}


def test_every_row_has_its_tests():
    """No row names a test that is not there."""
    assert _named() - _tests() == set()
    assert all((HERE / name).exists() for name in WHOLE)


def test_every_test_stands_in_a_row():
    """A new case says which promise it holds."""
    assert _tests() - _named() == set()
