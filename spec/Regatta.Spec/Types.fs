namespace Regatta.Spec

open System

type Key = Bytes
type Value = Bytes

/// The table revision: 0 before the first command, then one more with each mutating command that is applied.
type Revision = int64

/// Which life of a table this is. Revisions compare only within one incarnation.
type Incarnation = { History: Guid; Number: int64 }

/// What a table keeps under a key. 1 <= CreateRevision <= ModRevision; Version counts the puts since the key was created, from 1.
type Entry = { Value: Value; CreateRevision: Revision; ModRevision: Revision; Version: int64 }

type KeyValue = { Key: Key; Entry: Entry }

/// What a reader wants of each key: everything, everything but the value (which comes back empty), or only how many keys there are.
[<RequireQualifiedAccess>]
type Projection =
    | Full
    | KeysOnly
    | CountOnly

/// `Limit` caps the number of keys; 0 = no limit, negative is refused before it gets here.
type RangeOp = { Range: KeyRange; Limit: int64; Projection: Projection }

type PutOp = { Key: Key; Value: Value; PrevKv: bool }

/// `PrevKv` wants the deleted pairs (and their number), `Count` only their number.
type DeleteOp = { Range: KeyRange; PrevKv: bool; Count: bool }

[<RequireQualifiedAccess>]
type Op =
    | Range of RangeOp
    | Put of PutOp
    | Delete of DeleteOp

/// The stored side stands on the left: `Less` holds when what is stored is less than the operand.
[<RequireQualifiedAccess>]
type Relation =
    | Equal
    | NotEqual
    | Greater
    | Less

/// What a compare looks at. `Exists` is a request without a target_union: existence alone counts, whatever relation it names.
[<RequireQualifiedAccess>]
type Operand =
    | Value of Value
    | Version of int64
    | CreateRevision of Revision
    | ModRevision of Revision
    | Exists

type Compare = { Range: KeyRange; Relation: Relation; Operand: Operand }

type Txn = { Compares: Compare list; Success: Op list; Failure: Op list }

[<RequireQualifiedAccess>]
type Command =
    | Put of PutOp
    | Delete of DeleteOp
    | Txn of Txn
    /// Changes nothing and takes a revision all the same.
    | Dummy

module Txn =
    /// Nothing but ranges, if anything, in *both* branches: which branch is taken does not matter. Takes no revision.
    let isReadOnly (txn: Txn) =
        let isRange op =
            match op with
            | Op.Range _ -> true
            | Op.Put _
            | Op.Delete _ -> false

        List.forall isRange txn.Success && List.forall isRange txn.Failure

module Command =
    let mutates command =
        match command with
        | Command.Txn txn -> not (Txn.isReadOnly txn)
        | Command.Put _
        | Command.Delete _
        | Command.Dummy -> true

/// Bounds on the revisions of the keys that a range returns, both ends included; 0 or less = not set.
type RevisionFilter =
    { MinMod: Revision
      MaxMod: Revision
      MinCreate: Revision
      MaxCreate: Revision }

    static member None = { MinMod = 0L; MaxMod = 0L; MinCreate = 0L; MaxCreate = 0L }

[<RequireQualifiedAccess>]
type Query =
    | Range of RangeOp * RevisionFilter
    /// Read-only: nothing but ranges, if anything, in both branches.
    | Txn of Txn

/// `Count` = keys in this answer, or with CountOnly keys that would be in it; `More` = at least one further key matches.
type RangeAnswer = { Kvs: KeyValue list; More: bool; Count: int64 }

[<RequireQualifiedAccess>]
type Response =
    | Range of RangeAnswer
    /// The pair before the put: only if asked for and there was one.
    | Put of prevKv: KeyValue option
    /// `deleted` is 0 unless the request set Count or PrevKv (as the Go project has it).
    | Delete of deleted: int64 * prevKvs: KeyValue list
    | Txn of succeeded: bool * responses: Response list
    | Dummy

/// An answer and the table revision that it shows: for a command the one it was given, for a read the one it saw.
type Reply = { Revision: Revision; Response: Response }
