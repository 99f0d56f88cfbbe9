namespace Regatta.Node.Tests

open System.Threading.Tasks
open Grpc.Core

/// The node that a row of the catalogue needs. Each has a table `t` that holds the keys `a` to `c`.
type Setting =
    | Plain
    /// api.default-deadline is short.
    | ShortDeadline
    /// tables.token is `secret`.
    | WithToken
    /// tables.enabled is false.
    | WithoutTables
    /// limits.max-iterations, limits.max-watches and replication.max-snapshots are 1 and the limits of keys, values and pages are small.
    | SmallLimits
    /// changelog.max-count is 1, and the changelog of `t` has been cut.
    | ShortChangelog
    /// The table's group behaves so; one that hangs or does not end comes with a short api.default-deadline.
    | Table of Behaviour
    /// The catalogue's group behaves so.
    | Catalogue of Behaviour
    /// The table's files are damaged.
    | Damaged
    /// The table has just been deleted on this node, which has not noticed yet.
    | Dropped
    /// The node has met a failure that stops it.
    | Failed

/// One row: this call, made so, ends so.
[<NoEquality; NoComparison>]
type Row =
    {
        Call: string
        /// What is special about the call, for the document.
        When: string
        Code: StatusCode
        /// The whole message; `...` stands for any text.
        Message: string
        Setting: Setting
        Send: RunningNode -> Task
    }

/// What rows are made of.
module CallRow =
    let t = Bytes.text "t"
    let a = Bytes.text "a"
    let maxKey = 1024
    let maxValue = 2 * 1024 * 1024

    let row call setting condition code message send =
        { Call = call
          When = condition
          Code = code
          Message = message
          Setting = setting
          Send = send }

    /// Any call that the table serves.
    let damaged call send =
        row
            call
            Damaged
            "the table's files are damaged"
            StatusCode.DataLoss
            "table 't' cannot be opened: the file 000001.sst is damaged"
            send

    /// Any call that a group serves.
    let failed call send =
        row
            call
            Failed
            "the node has failed and is stopping"
            StatusCode.Unavailable
            "the node has failed and is stopping: the disk is gone"
            send

    let invalid = StatusCode.InvalidArgument
    let tooLong = StatusCode.FailedPrecondition

    let keyTooLong where = $"key length exceeded max allowed value: {where} has 1025 bytes, the limit is 1024"
    let valueTooLong where = $"value length exceeded max allowed value: {where} has 2097153 bytes, the limit is 2097152"
    let longKey = Bytes.ofLength (maxKey + 1)
    let longValue = Bytes.ofLength (maxValue + 1)
    let oversized = "Received message exceeds the maximum configured message size."
