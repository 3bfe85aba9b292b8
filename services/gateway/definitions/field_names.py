"""The names of the fields that a definition written for Tyk (1.4 to 5) may have, by object, and how near another name is to them.

When nothing reads one of these fields, it is kept with a warning. A name that is spelled nearly like a field of its object is a mistake:
its author relies on it. Source: Tyk's documentation of the classic API definition.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.lower().split())


DEFINITION: Final = _names("""
    _id active allowed_ips analytics_plugin api_id api_model application_protocol auth auth_configs auth_provider base_identity_provided_by
    basic_auth blacklisted_ips cache_options certificate_pinning_disabled certificates client_certificates config_data config_data_disabled
    CORS created_at custom_middleware custom_middleware_bundle custom_middleware_bundle_disabled custom_plugin_auth_enabled definition
    detailed_tracing disable_quota disable_rate_limit do_not_track domain domain_disabled dont_set_quota_on_create
    enable_batch_request_support enable_context_vars enable_coprocess_auth enable_detailed_recording enable_ip_blacklisting
    enable_ip_whitelisting enable_jwt enable_proxy_protocol enable_signature_checking error_overrides error_overrides_disabled
    event_handlers expiration expire_analytics_after external_oauth global_rate_limit graphql hmac_allowed_algorithms
    hmac_allowed_clock_skew hook_references id idp_client_id_mapping_disabled internal ip_access_control_disabled is_oas is_site
    json_rpc_version jwt_client_base_field jwt_default_policies jwt_expires_at_validation_skew jwt_identity_base_field
    jwt_issued_at_validation_skew jwt_jwks_uris jwt_not_before_validation_skew jwt_policy_field_name jwt_scope_claim_name
    jwt_scope_to_policy_mapping jwt_signing_method jwt_skip_kid jwt_source listen_port name notifications oauth_meta openid_options org_id
    pinned_public_keys protocol proxy proxy_name request_signing response_processors scopes security_requirement_scopes
    security_requirements session_lifetime session_lifetime_respects_key_expiration session_provider slug sort_by strip_auth_data
    tag_headers tags tags_disabled updated_at upstream_auth upstream_certificates upstream_certificates_disabled uptime_tests
    use_basic_auth use_go_plugin_auth use_keyless use_mutual_tls_auth use_oauth2 use_openid use_standard_auth user_group_owners user_owners
    version_data
""")
PROXY: Final = _names("""
    check_host_against_uptime_tests disable_strip_slash enable_load_balancing listen_path preserve_host_header service_discovery
    strip_listen_path target_list target_url transport
""")
TRANSPORT: Final = _names("""
    proxy_url ssl_ciphers ssl_force_common_name_check ssl_insecure_skip_verify ssl_max_version ssl_min_version
""")
UPTIME_TESTS: Final = _names("check_list config disabled poller_group")
UPTIME_CONFIG: Final = _names("expire_utime_after recheck_wait service_discovery")
UPTIME_TEST: Final = _names("body commands enable_proxy_protocol headers method protocol timeout url")
AUTH: Final = _names("""
    auth_header_name cookie_name disable_header name param_name signature strip_auth_data use_certificate use_cookie use_param
    validate_signature
""")
VERSIONING: Final = _names("""
    default enabled fallback_to_default key location name strip_path strip_versioning_data url_versioning_pattern versions
""")
VERSION_DATA: Final = _names("default_version not_versioned use_extended_paths versions")
VERSION: Final = _names("""
    expires extended_paths global_enforce_timeout global_enforce_timeout_disabled global_headers global_headers_disabled
    global_headers_remove global_response_headers global_response_headers_disabled global_response_headers_remove global_size_limit
    global_size_limit_disabled ignore_endpoint_case name override_target overrides paths use_extended_paths
""")
PATHS: Final = _names("black_list ignored white_list")
EXTENDED_PATHS: Final = PATHS | _names("""
    advance_cache_config cache circuit_breakers do_not_track_endpoints go_plugin hard_timeouts internal method_transforms mock_response
    persist_graphql rate_limit size_limits track_endpoints transform transform_headers transform_jq transform_jq_response
    transform_response transform_response_headers url_rewrites validate_json validate_request virtual
""")
MIDDLEWARE: Final = _names("auth_check driver id_extractor post post_key_auth pre response traffic_logs")
CORS: Final = _names("""
    allow_credentials allowed_headers allowed_methods allowed_origins debug enable exposed_headers max_age options_passthrough
""")
OPENID_OPTIONS: Final = _names("providers segregate_by_client")
PROVIDER: Final = _names("client_ids issuer")
CACHE_OPTIONS: Final = _names("""
    cache_all_safe_requests cache_by_headers cache_control_ttl_header cache_response_codes cache_timeout enable_cache
    enable_upstream_cache_control
""")
SESSION: Final = _names("""
    access_rights alias allowance apply_policies apply_policy_id basic_auth_data certificate data_expires date_created
    enable_detail_recording enable_detailed_recording enable_http_signature_validation expires hmac_enabled hmac_string
    id_extractor_deadline is_inactive jwt_data last_check last_updated max_query_depth meta_data monitor mtls_static_certificate_bindings
    oauth_client_id oauth_keys org_id owner per post_expiry_action post_expiry_grace_period quota_max quota_remaining quota_renewal_rate
    quota_renews rate rsa_certificate_id session_lifetime smoothing tags throttle_interval throttle_retry_limit
""")
RIGHT: Final = _names("""
    allowance_scope allowed_types allowed_urls api_id api_name disable_introspection endpoints field_access_rights json_rpc_methods
    json_rpc_methods_access_rights limit mcp_access_rights mcp_primitives restricted_types versions
""")
POLICY: Final = _names("""
    _id access_rights active enable_http_signature_validation graphql_access_rights hmac_enabled id is_inactive key_expires_in last_updated
    max_query_depth meta_data name org_id partitions per post_expiry_action post_expiry_grace_period quota_max quota_renewal_rate rate
    smoothing state tags throttle_interval throttle_retry_limit
""")
PARTITIONS: Final = _names("acl complexity per_api quota rate_limit")
MONITOR: Final = _names("trigger_limits")
ENDPOINT: Final = _names("methods path")
ENDPOINT_METHOD: Final = _names("limit name")
ENDPOINT_LIMIT: Final = _names("per rate smoothing")
# Fields of entries of lists, and of what is nested deeper.
_ENTRIES: Final = _names("""
    act_on action add_headers body cache_key_regex code data delete_headers disable_half_open_state disabled duration error_response_code
    event_timeout filter func_name function_source_type function_source_uri handler_meta handler_name header_map headers ignore_case
    match_pattern method method_actions methods path per plugin_path prefix proxy_on_error raw_body_only require_session
    response_function_name return_to_service_after rewrite_to samples schema schema_b64 size_limit target_path template_data
    template_path threshold_percent timeout to_method triggers url use_session webhook_id webhook_name
""")
ANYWHERE: Final = frozenset().union(
    DEFINITION, PROXY, AUTH, VERSIONING, VERSION_DATA, VERSION, EXTENDED_PATHS, MIDDLEWARE, CORS, CACHE_OPTIONS, SESSION, RIGHT, _ENTRIES
)

_DEFINITION_ITSELF: Final = "the definition itself"
# Fields that keep somebody out, and where they belong; in another place they would have no effect.
HOMES: Final = {
    "white_list": "the paths or the extended_paths of a version",
    "black_list": "the paths or the extended_paths of a version",
    "size_limits": "the extended_paths of a version",
    "extended_paths": "a version (version_data.versions)",
    "global_size_limit": "a version (version_data.versions)",
    "expires": "a version (version_data.versions)",
    "allowed_ips": _DEFINITION_ITSELF,
    "blacklisted_ips": _DEFINITION_ITSELF,
    "enable_ip_whitelisting": _DEFINITION_ITSELF,
    "enable_ip_blacklisting": _DEFINITION_ITSELF,
    "global_rate_limit": _DEFINITION_ITSELF,
    "enable_jwt": _DEFINITION_ITSELF,
    "enable_signature_checking": _DEFINITION_ITSELF,
    "use_basic_auth": _DEFINITION_ITSELF,
    "use_mutual_tls_auth": _DEFINITION_ITSELF,
    "use_oauth2": _DEFINITION_ITSELF,
    "use_openid": _DEFINITION_ITSELF,
}
CLOSING_LISTS: Final = _names("black_list internal rate_limit size_limits validate_json validate_request white_list")

_LONGEST: Final = 64  # characters; no field's name is as long


def near(name: str, known: Iterable[str]) -> str:
    """Return the known name that `name` is a misspelling of, else "".

    A misspelling differs in case, `_` or `-`, or by one letter (of five or more) or two (of nine or more).
    """
    squashed = _squash(name)
    if not 3 < len(squashed) <= _LONGEST:
        return ""
    best = ""
    fewest = 3
    for candidate in sorted(known):
        other = _squash(candidate)
        allowed = 0 if len(other) < 5 else 1 if len(other) < 9 else 2
        if abs(len(squashed) - len(other)) <= allowed:
            edits = _distance(squashed, other)
            if edits <= allowed and edits < fewest:
                best, fewest = candidate, edits
    return best


def _squash(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _distance(one: str, other: str) -> int:
    """Count the letters to insert, drop, change or swap with their neighbour (Damerau-Levenshtein, optimal string alignment)."""
    before_last: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        current = [row]
        for column, wanted in enumerate(other, 1):
            cost = min(last[column] + 1, current[-1] + 1, last[column - 1] + (letter != wanted))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == wanted:
                cost = min(cost, before_last[column - 2] + 1)
            current.append(cost)
        before_last, last = last, current
    return last[-1]
