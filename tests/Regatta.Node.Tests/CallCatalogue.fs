/// Every call with every status that it can end with, and every limit. Each row is a test, and a row of docs/reference/api-errors.md.
module Regatta.Node.Tests.CallCatalogue

let rows: Row list =
    ReadCalls.rows
    @ WriteCalls.rows
    @ TxnCalls.rows
    @ WatchCalls.rows
    @ TableCalls.rows
    @ SiteCalls.rows
    @ ReplicationCalls.rows
    @ NodeCalls.rows

/// The settings that a node is started with.
let settings (setting: Setting) =
    match setting with
    | ShortDeadline
    | Table Hangs -> [ "api.default-deadline", "300ms" ]
    // What comes before the reading must have been done when the deadline passes.
    | Table Endless -> [ "api.default-deadline", "3s" ]
    | WithToken -> [ "tables.token", "secret" ]
    | ShortChangelog -> [ "changelog.max-count", "1" ]
    | WithoutTables -> [ "tables.enabled", "false" ]
    | SmallLimits ->
        [ "limits.max-iterations", "1"
          "limits.max-watches", "1"
          "replication.max-snapshots", "1"
          "limits.max-key-bytes", "64"
          "limits.max-value-bytes", "4096"
          "limits.page-bytes", "8192" ]
    | _ -> []
