"""Calls that an audience may not make, a list for each engine: an audience only reads, and only tables.

A list can be passed by: a function that users wrote themselves may do anything. The boundary that holds is the role.
Names are patterns of fnmatch, in lower case and without schema. Whole families stand here rather than single names,
so that an engine's next release does not open what is closed today.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from functools import cache

# What a call does -> the names of those that do it.
Calls = Mapping[str, str]

# select function_name from duckdb_functions(), 2.0; and the functions of the extensions that load by themselves.
_DUCKDB: Calls = {
    "reads files or other servers": """
        read_* parquet_* sniff_csv glob *_scan *_scan_pushdown seq_scan scan_* st_read* shapefile_meta sqlite_attach
        postgres_attach iceberg_* delta_* ducklake_* odbc_* bigquery_* http_* duckdb_logs*
        duckdb_external_file_cache""",
    "runs SQL or code from a text": """
        query query_table *_query *_execute json_execute_serialized_sql python_map_function
        pragma_json_execute_serialized_sql""",
    "writes": """
        nextval setval write_log checkpoint force_checkpoint *_checkpoint truncate_duckdb_logs add_parquet_key
        copy_database import_database *_external_resource *_external_resource_type""",
    "changes settings": "set_config enable_* disable_* setseed load install load_* attach detach",
    "sleeps": "sleep_ms pg_sleep* sleep",
    "shows secrets": "getenv current_setting duckdb_secrets duckdb_settings which_secret",
}

# Held against a server's own catalogue, with its contributed extensions, in tests/test_query_postgres.py.
# https://www.postgresql.org/docs/current/functions-admin.html, functions-xml, lo-funcs, dblink, tablefunc;
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/postgresql-s3-export.html for aws_s3 and aws_lambda
_POSTGRES: Calls = {
    "reads files": """
        pg_read_* pg_ls_* pg_stat_file pg_current_logfile pg_hba_file_rules pg_ident_file_mappings
        pg_show_all_file_settings pg_logdir_ls pg_file_read pg_file_length lo_import lo_get loread lo_open""",
    "reads other servers": "dblink* postgres_fdw_* http http_*",
    "runs SQL or code from a text": """
        query_to_xml* cursor_to_xml* table_to_xml* schema_to_xml* database_to_xml* ts_stat ts_rewrite crosstab*
        connectby xpath_table invoke""",
    "writes": """
        nextval setval lo_* lowrite pg_file_* pg_notify pg_create_* pg_drop_* pg_copy_* pg_logical_* pg_replication_*
        pg_sync_replication_slots pg_restore_* pg_clear_* pg_set_* pg_import_system_collations
        query_export_to_s3 table_import_from_s3 pg_stat_*reset* pg_wal_replay_* pg_switch_wal pg_log_*
        pg_export_snapshot pg_prewarm autoprewarm_* pg_buffercache_evict* pg_extension_config_dump binary_upgrade_*
        brin_summarize_* brin_desummarize_* gin_clean_pending_list heap_force_* pg_truncate_visibility_map pg_nextoid
        pg_stop_making_pinned_objects pg_stat_force_next_flush""",
    "reads pages and logs, past all rights": """
        get_raw_page bt_metap bt_page_* bt_multi_page_* fsm_page_contents pg_get_wal_block_info pg_get_wal_record*
        pg_get_logical_* pg_wal_summary_contents""",
    "ends sessions or stops the server": """
        pg_terminate_backend pg_cancel_backend pg_promote pg_reload_conf pg_rotate_logfile* pg_start_backup
        pg_stop_backup pg_backup_*""",
    "takes locks": "pg_advisory_* pg_try_advisory_*",
    "changes settings": "set_config setseed set_limit isn_weak",
    "sleeps": "pg_sleep*",
}

# https://dev.mysql.com/doc/refman/8.4/en/locking-functions.html, gtid-functions; MariaDB's sequences; lib_mysqludf_sys
_MYSQL: Calls = {
    "reads files": "load_file",
    "runs commands": "sys_exec sys_eval sys_get sys_set",
    "writes": "nextval setval keyring_* audit_log_* mysql_firewall_* set_firewall_* version_tokens_* *_failover_*",
    "changes the server": "group_replication_* ps_*",
    "takes locks": "get_lock release_lock release_all_locks service_get_* service_release_*",
    "sleeps": "sleep benchmark *_pos_wait wait_*",
}

# https://docs.snowflake.com/en/sql-reference/functions-system: system$ functions cancel, wait, send and set
_SNOWFLAKE: Calls = {
    "changes or reveals the account": "system$*",
    "writes": "nextval",
    "reads files": "infer_schema get_presigned_url build_scoped_file_url build_stage_file_url to_file directory",
    "runs SQL or code from a text": "to_query",
}

# https://cloud.google.com/bigquery/docs/reference/standard-sql/federated_query_functions
_BIGQUERY: Calls = {
    "reads other servers": "external_query external_object_transform",
    "reads files": "get_access_url fetch_metadata make_ref",
}

# https://clickhouse.com/docs/sql-reference/table-functions
_CLICKHOUSE: Calls = {
    "reads files": "file filecluster sqlite input catboostevaluate",
    "reads other servers": """
        url urlcluster s3 s3cluster gcs hdfs hdfscluster azureblobstorage* remote remotesecure cluster
        clusterallreplicas mysql postgresql mongodb redis odbc jdbc iceberg* deltalake* hudi* paimon* arrowflight
        ytsaurus prometheusquery* timeseries* kafka nats rabbitmq ai*""",
    "runs commands": "executable",
    "writes": "generateserialid",
    "sleeps": "sleep sleepeachrow",
}

# https://learn.microsoft.com/en-us/sql/t-sql/functions/openrowset-transact-sql, and sys.fn_*, sys.dm_os_*
_TSQL: Calls = {
    "reads files or other servers": """
        openrowset opendatasource openquery fn_trace_* fn_xe_* fn_get_audit_file* fn_dump_dblog fn_dblog
        dm_os_file_exists dm_os_enumerate_filesystem""",
    "runs commands": "xp_* sp_*",
}

# https://trino.io/docs/current/connector/postgresql.html#table-functions: `query` hands a text through to a source
_TRINO: Calls = {"runs SQL or code from a text": "query raw_query procedure"}

# https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-functions-builtin-alpha
_SPARK: Calls = {
    "reads files or other servers": "read_* cloud_files http_request remote_query ai_* from_avro_registry",
    "runs SQL or code from a text": "java_method reflect try_reflect",
    "shows secrets": "secret try_secret list_secrets",
}

# https://www.sqlite.org/cli.html#file_i_o_functions
_SQLITE: Calls = {
    "reads files": "readfile lsdir fsdir zipfile sqlite_dbpage",
    "writes": "writefile edit",
    "runs code": "load_extension fts3_tokenizer",
}

_OF: Mapping[str, Calls] = {
    "duckdb": _DUCKDB,
    "postgres": _POSTGRES,
    "redshift": _POSTGRES,
    "mysql": _MYSQL,
    "snowflake": _SNOWFLAKE,
    "bigquery": _BIGQUERY,
    "clickhouse": _CLICKHOUSE,
    "tsql": _TSQL,
    "trino": _TRINO,
    "spark": _SPARK,
    "databricks": _SPARK,
    "sqlite": _SQLITE,
}


def call(dialect: str, name: str) -> str | None:
    """What a call of `name` does that an audience may not, in a few words; None where it is allowed."""
    return next((deed for deed, pattern in _patterns(dialect) if pattern.fullmatch(name.lower())), None)


@cache
def _patterns(dialect: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """An engine without a list of its own is refused what any engine is."""
    lists = [_OF[dialect]] if dialect in _OF else list(_OF.values())
    return tuple(
        (deed, re.compile("|".join(fnmatch.translate(name) for name in names.split())))
        for calls in lists
        for deed, names in calls.items()
    )
