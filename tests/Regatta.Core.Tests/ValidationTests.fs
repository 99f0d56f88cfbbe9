module Regatta.Core.Tests.ValidationTests

open System
open Expecto
open Regatta.Core
open Regatta.Core.Tests.Build

let private limits = Limits(KeyBytes = 3, ValueBytes = 4, RequestBytes = 100, TxnOperations = 2)

let private kind (violation: Nullable<Violation>) = if violation.HasValue then Some violation.Value.Kind else None

let private query keys limit keysOnly countOnly = RangeQuery(keys, limit, keysOnly, countOnly)
let private options (query: RangeQuery) = kind (CommandValidation.CheckOptions &query)
let private presence (query: RangeQuery) = kind (CommandValidation.CheckPresence &query)
let private readLimits (query: RangeQuery) = kind (CommandValidation.CheckLimits(&query, limits))
let private commandLimits (command: TableCommand) = kind (CommandValidation.CheckLimits(command, limits))
let private commandPresence (command: TableCommand) = kind (CommandValidation.CheckPresence command)
let private inTxn op = [ commandLimits (txn [] [ op ] []); commandLimits (txn [] [] [ putOp "a" ""; op ]) ]
let private both violation = [ Some violation; Some violation ]

let private reads =
    [ testCase "options: a negative limit comes before keys and count at once" (fun () ->
          Expect.equal (options (query (single "a") -1L true true)) (Some ViolationKind.NegativeLimit) "both wrong"
          Expect.equal (options (query (single "a") 0L true true)) (Some ViolationKind.KeysOnlyAndCountOnly) "keys and count"
          Expect.equal (options (query (single "a") 1L true false)) None "keys"
          Expect.equal (options (query (single "a") 1L false true)) None "count")

      testCase "presence: the key must be set, whatever the range end" (fun () ->
          Expect.equal (presence (query (single "") 0L false false)) (Some ViolationKind.KeyMissing) "a single key"
          Expect.equal (presence (query (from "") 0L false false)) (Some ViolationKind.KeyMissing) "with a range end"
          Expect.equal (presence (query (single "\000") 0L false false)) None "a zero byte is a key")

      testCase "limits: key and range end to the byte" (fun () ->
          Expect.equal (readLimits (query (interval "abc" "abd") 0L false false)) None "as long as allowed"
          Expect.equal (readLimits (query (single "abcd") 0L false false)) (Some ViolationKind.KeyTooLong) "key"
          Expect.equal (readLimits (query (interval "a" "abcd") 0L false false)) (Some ViolationKind.RangeEndTooLong) "range end") ]

let private commands =
    [ testCase "presence: puts and deletes name a key, transactions and dummies do not" (fun () ->
          Expect.equal (commandPresence (put "" "v")) (Some ViolationKind.KeyMissing) "put"
          Expect.equal (commandPresence (delete (interval "" "b"))) (Some ViolationKind.KeyMissing) "delete"
          Expect.equal (commandPresence (put "a" "")) None "put"
          Expect.equal (commandPresence (txn [] [] [])) None "transaction"
          Expect.equal (commandPresence (DummyCommand())) None "dummy")

      testCase "limits: puts and deletes" (fun () ->
          Expect.equal (commandLimits (put "abc" "1234")) None "as long as allowed"
          Expect.equal (commandLimits (put "abcd" "12345")) (Some ViolationKind.KeyTooLong) "the key comes first"
          Expect.equal (commandLimits (put "abc" "12345")) (Some ViolationKind.ValueTooLong) "value"
          Expect.equal (commandLimits (delete (single "abcd"))) (Some ViolationKind.KeyTooLong) "deleted key"
          Expect.equal (commandLimits (delete (interval "a" "abcd"))) (Some ViolationKind.RangeEndTooLong) "range end"
          Expect.equal (commandLimits (DummyCommand())) None "dummy")

      testCase "limits: every operation of both branches" (fun () ->
          Expect.equal (inTxn (putOp "" "")) (both ViolationKind.KeyMissing) "put without a key"
          Expect.equal (inTxn (putOp "abcd" "")) (both ViolationKind.KeyTooLong) "put"
          Expect.equal (inTxn (putOp "a" "12345")) (both ViolationKind.ValueTooLong) "value"
          Expect.equal (inTxn (deleteOp (from ""))) (both ViolationKind.KeyMissing) "delete without a key"
          Expect.equal (inTxn (deleteOp (interval "a" "abcd"))) (both ViolationKind.RangeEndTooLong) "delete"
          Expect.equal (inTxn (rangeOp (single ""))) (both ViolationKind.KeyMissing) "range without a key"
          Expect.equal (inTxn (rangeOp (single "abcd"))) (both ViolationKind.KeyTooLong) "range"
          Expect.equal (inTxn (TxnOp.Range(single "a", -1L, false, false))) (both ViolationKind.NegativeLimit) "limit"
          Expect.equal (inTxn (TxnOp.Range(single "a", 0L, true, true))) (both ViolationKind.KeysOnlyAndCountOnly) "options"
          Expect.equal (inTxn (rangeOp (single "a"))) [ None; None ] "nothing wrong")

      testCase "limits: compares" (fun () ->
          let compared compare = commandLimits (txn [ compare ] [] [])
          Expect.equal (compared (compareValue (single "") CompareOperator.Equal "")) (Some ViolationKind.KeyMissing) "no key"
          Expect.equal (compared (compareValue (single "abcd") CompareOperator.Equal "")) (Some ViolationKind.KeyTooLong) "key"
          Expect.equal (compared (compareValue (interval "a" "abcd") CompareOperator.Equal "")) (Some ViolationKind.RangeEndTooLong) "end"
          Expect.equal (compared (compareValue (single "a") CompareOperator.Equal "12345")) (Some ViolationKind.ValueTooLong) "value"

          Expect.equal
              (compared (compareValue (single "a") (LanguagePrimitives.EnumOfValue 4uy) ""))
              (Some ViolationKind.UnknownCompare)
              "operator"

          Expect.equal
              (compared (compareNumber (single "a") CompareOperator.Less (LanguagePrimitives.EnumOfValue 5uy) 0L))
              (Some ViolationKind.UnknownCompare)
              "target"

          Expect.equal (compared (compareNumber (single "a") CompareOperator.NotEqual CompareTarget.ModRevision 0L)) None "nothing wrong")

      testCase "limits: the number of compares and of operations in each branch" (fun () ->
          let ops count = List.replicate count (putOp "a" "")
          let compares count = List.replicate count (compareValue (single "a") CompareOperator.Equal "")
          Expect.equal (commandLimits (txn (compares 2) (ops 2) (ops 2))) None "as many as allowed"
          Expect.equal (commandLimits (txn (compares 3) [] [])) (Some ViolationKind.TooManyOperations) "compares"
          Expect.equal (commandLimits (txn [] (ops 3) [])) (Some ViolationKind.TooManyOperations) "success"
          Expect.equal (commandLimits (txn [] [] (ops 3))) (Some ViolationKind.TooManyOperations) "failure") ]

/// Clients act on what they are told, so it must not depend on how the checks are written: of several things that are wrong the first is named, in the order in which they stand.
let private order =
    [ testCase "order: presence, key, range end, value, then what follows; options before all of a range" (fun () ->
          let compare range value = commandLimits (txn [ compareValue range CompareOperator.Equal value ] [] [])
          Expect.equal (compare (interval "" "abcd") "12345") (Some ViolationKind.KeyMissing) "compare: presence before the range end"
          Expect.equal (compare (single "abcd") "12345") (Some ViolationKind.KeyTooLong) "compare: key before value"
          Expect.equal (inTxn (putOp "" "12345")) (both ViolationKind.KeyMissing) "put: presence before value"
          Expect.equal (inTxn (putOp "abcd" "12345")) (both ViolationKind.KeyTooLong) "put: key before value"
          Expect.equal (inTxn (deleteOp (interval "" "abcd"))) (both ViolationKind.KeyMissing) "delete: presence before the range end"

          Expect.equal
              (inTxn (TxnOp.Range(interval "" "abcd", -1L, false, false)))
              (both ViolationKind.NegativeLimit)
              "range: options before presence"

          Expect.equal (inTxn (rangeOp (interval "" "abcd"))) (both ViolationKind.KeyMissing) "range: presence before the range end"

          Expect.equal
              (commandLimits (txn [] [ putOp "abcd" "" ] [ putOp "" "" ]))
              (Some ViolationKind.KeyTooLong)
              "the branch for success before that for failure") ]

let private texts =
    let violation (command: TableCommand) = CommandValidation.CheckLimits(command, limits).Value

    [ testCase "the texts are those that clients of the Go Regatta know" (fun () ->
          let reason (query: RangeQuery) = CommandValidation.CheckOptions(&query).Value.Reason
          Expect.equal (reason (query (single "a") -1L false false)) "limit must be a positive number" "limit"

          Expect.equal (reason (query (single "a") 0L true true)) "keys_only and count_only must not be set at the same time" "options"

          Expect.equal (CommandValidation.CheckPresence(put "" "").Value.Reason) "key must be set" "key"
          Expect.equal (violation (put "abcd" "")).Reason "key length exceeded max allowed value" "key length"
          Expect.equal (violation (delete (interval "a" "abcd"))).Reason "key length exceeded max allowed value" "range end"
          Expect.equal (violation (put "a" "12345")).Reason "value length exceeded max allowed value" "value length")

      testCase "texts of our own say what is wrong" (fun () ->
          Expect.equal
              (violation (txn [] (List.replicate 3 (putOp "a" "")) [])).Reason
              "a transaction has 3 compares or operations in one list, 2 are allowed"
              "operations"

          Expect.equal
              (violation (txn [ compareNumber (single "a") (LanguagePrimitives.EnumOfValue 4uy) CompareTarget.Version 0L ] [] [])).Reason
              $"compare operator 4 or target {byte CompareTarget.Version} is not known to this version"
              "compare")

      testCase "what is too long is a failed precondition, everything else is malformed" (fun () ->
          let malformed kind = Violation(kind, "").IsMalformed
          let tooLong = [ ViolationKind.KeyTooLong; ViolationKind.RangeEndTooLong; ViolationKind.ValueTooLong ]
          let all = List.ofArray (Enum.GetValues<ViolationKind>())
          Expect.equal (List.filter (malformed >> not) all) tooLong "failed preconditions")

      testCase "the defaults are those of the wire" (fun () ->
          Expect.equal Limits.Default (Limits(1024, 2_097_152, 4_194_304, 10_000)) "limits") ]

let tests = testList "admission" (reads @ commands @ order @ texts)
