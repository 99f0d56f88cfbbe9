/// wire.md 1.3 and 0, the sentences about reads.
module Regatta.Spec.Tests.RangeTests

open Expecto
open Regatta.Spec
open Regatta.Spec.Tests.Build

let private zero = raw [ 0 ]
let private four = after [ put "a" "1"; put "b" "22"; put "b\000" "333"; put "c" "4" ]
let private all = rangeOp KeyRange.all
let private filtered state op filter = ask state (Query.Range(op, filter))

let private ends =
    testList
        "range_end"
        [ testCase "absent means the single key" (fun () ->
              let answer = select four (KeyRange.ofRequest (b "b") Bytes.Empty)
              Expect.equal answer { Kvs = [ kv "b" (entry "22" 2L 2L 1L) ]; More = false; Count = 1L } "key b alone")

          testCase "of one zero byte means all keys from the key on" (fun () ->
              Expect.equal (keysOf (select four (KeyRange.ofRequest (b "b") zero))) (texts [ "b"; "b\000"; "c" ]) "from b"
              Expect.equal (keysOf (select four (KeyRange.ofRequest (b "bb") zero))) (texts [ "c" ]) "from a key that is not there")

          testCase "of anything else means from the key, included, to the end, excluded" (fun () ->
              Expect.equal (keysOf (select four (KeyRange.ofRequest (b "a") (b "c")))) (texts [ "a"; "b"; "b\000" ]) "[a, c)"
              Expect.equal (keysOf (select four (KeyRange.ofRequest (b "b") (b "b\000")))) (texts [ "b" ]) "[b, b0)"
              Expect.equal (keysOf (select four (KeyRange.ofRequest (b "a") (raw [ 0; 0 ])))) [] "two zero bytes are an end like any other")

          testCase "of one zero byte with the same key means all keys" (fun () ->
              let state =
                  run
                      [ Command.Put { Key = zero; Value = b "z"; PrevKv = false }
                        Command.Put { Key = raw [ 0xff; 0xff ]; Value = b "y"; PrevKv = false } ]
                      four

              let expected = [ zero; b "a"; b "b"; b "b\000"; b "c"; raw [ 0xff; 0xff ] ]
              Expect.equal (keysOf (select state (KeyRange.ofRequest zero zero))) expected "all keys")

          testCase "at or below the key means an empty range" (fun () ->
              Expect.equal (select four (KeyRange.ofRequest (b "c") (b "a"))) { Kvs = []; More = false; Count = 0L } "[c, a)"
              Expect.equal (select four (KeyRange.ofRequest (b "b") (b "b"))) { Kvs = []; More = false; Count = 0L } "[b, b)")

          testCase "of a prefix is the prefix with its last byte below ff raised" (fun () ->
              Expect.equal (KeyRange.prefix (b "ab")) (KeyRange.between (b "ab") (b "ac")) "ab"
              Expect.equal (KeyRange.prefix (raw [ 0x61; 0xff ])) (KeyRange.between (raw [ 0x61; 0xff ]) (b "b")) "a ff"
              Expect.equal (KeyRange.prefix (raw [ 0xff; 0xff ])) (KeyRange.from (raw [ 0xff; 0xff ])) "nothing but ff")

          testCase "compares bytes unsigned" (fun () ->
              let high = raw [ 0x80 ]
              let state = run [ Command.Put { Key = high; Value = b "h"; PrevKv = false } ] four
              Expect.equal (keysOf (select state (KeyRange.between (b "c") (raw [ 0xff ])))) [ b "c"; high ] "80 lies between c and ff") ]

let private answers =
    testList
        "a range"
        [ testCase "of a missing single key is an empty answer, not an error" (fun () ->
              Expect.equal (select four (KeyRange.single (b "x"))) { Kvs = []; More = false; Count = 0L } "x")

          testCase "carries the table revision" (fun () ->
              Expect.equal (Table.query four (Query.Range(all, RevisionFilter.None))).Revision 4L "four commands"
              Expect.equal (Table.query empty (Query.Range(all, RevisionFilter.None))).Revision 0L "a new table")

          testCase "fills create_revision, mod_revision and version" (fun () ->
              let state = run [ put "a" "5"; put "a" "6" ] four
              Expect.equal (select state (KeyRange.single (b "a"))).Kvs [ kv "a" (entry "6" 1L 6L 3L) ] "a, put three times")

          testCase "with a limit stops there and says more when there is at least one further key" (fun () ->
              let limited limit = range four { all with Limit = limit }
              Expect.equal (keysOf (limited 3L)) (texts [ "a"; "b"; "b\000" ]) "the first three, in key order"
              Expect.isTrue (limited 3L).More "one further key"
              Expect.isTrue (limited 2L).More "two further keys"
              Expect.isFalse (limited 4L).More "as many keys as the limit"
              Expect.isFalse (limited 5L).More "fewer keys than the limit")

          testCase "with limit 0 has no limit" (fun () -> Expect.equal (range four { all with Limit = 0L }).Count 4L "all four")

          testCase "counts the keys in the answer, not those beyond its limit" (fun () ->
              Expect.equal (range four { all with Limit = 2L }).Count 2L "limit 2"
              Expect.equal (range four all).Count 4L "no limit")

          testCase "with count_only counts the whole range and returns no keys" (fun () ->
              let answer = range four { all with Projection = Projection.CountOnly }
              Expect.equal answer { Kvs = []; More = false; Count = 4L } "four")

          testCase "with count_only and a limit counts up to it and says that there is more" (fun () ->
              let limited limit = range four { all with Projection = Projection.CountOnly; Limit = limit }
              Expect.equal (limited 3L) { Kvs = []; More = true; Count = 3L } "capped"
              Expect.equal (limited 4L) { Kvs = []; More = false; Count = 4L } "not capped")

          testCase "with keys_only leaves the values out and keeps the revisions" (fun () ->
              let answer = range four { all with Projection = Projection.KeysOnly; Limit = 2L }
              let expected = [ kv "a" (entry "" 1L 1L 1L); kv "b" (entry "" 2L 2L 1L) ]
              Expect.equal answer { Kvs = expected; More = true; Count = 2L } "two keys") ]

let private filters =
    // a: created 1, changed 5; b: 2, 2; b0: 3, 6; c: 4, 4.
    let state = run [ put "a" "5"; put "b\000" "6" ] four
    let keys filter = keysOf (filtered state all filter)
    let none = RevisionFilter.None

    testList
        "the revision filters"
        [ testCase "of min and max mod_revision keep the keys within, both ends included" (fun () ->
              Expect.equal (keys { none with MinMod = 5L }) (texts [ "a"; "b\000" ]) "min_mod"
              Expect.equal (keys { none with MaxMod = 4L }) (texts [ "b"; "c" ]) "max_mod"
              Expect.equal (keys { none with MinMod = 4L; MaxMod = 5L }) (texts [ "a"; "c" ]) "both")

          testCase "of min and max create_revision keep the keys within, both ends included" (fun () ->
              Expect.equal (keys { none with MinCreate = 3L }) (texts [ "b\000"; "c" ]) "min_create"
              Expect.equal (keys { none with MaxCreate = 2L }) (texts [ "a"; "b" ]) "max_create"
              Expect.equal (keys { none with MinCreate = 2L; MaxCreate = 3L }) (texts [ "b"; "b\000" ]) "both")

          testCase "together must all pass" (fun () ->
              Expect.equal (keys { none with MaxCreate = 3L; MinMod = 5L }) (texts [ "a"; "b\000" ]) "old keys, changed lately"
              Expect.equal (keys { none with MinMod = 7L }) [] "nothing is that new")

          testCase "at 0 are not set" (fun () -> Expect.equal (keys none) (texts [ "a"; "b"; "b\000"; "c" ]) "all")

          testCase "come before the limit" (fun () ->
              let answer limit = filtered state { all with Limit = limit } { none with MinMod = 5L }
              Expect.equal (keysOf (answer 1L)) (texts [ "a" ]) "the first that passes"
              Expect.isTrue (answer 1L).More "a further key passes"
              Expect.equal (keysOf (answer 2L)) (texts [ "a"; "b\000" ]) "b does not use up the limit"
              Expect.isFalse (answer 2L).More "c is no further key: it does not pass")

          testCase "hold for count_only and keys_only too" (fun () ->
              let answer projection = filtered state { all with Projection = projection } { none with MaxMod = 4L }
              Expect.equal (answer Projection.CountOnly) { Kvs = []; More = false; Count = 2L } "count_only"
              Expect.equal (keysOf (answer Projection.KeysOnly)) (texts [ "b"; "c" ]) "keys_only")

          testCase "hold for a single key" (fun () ->
              let answer = filtered state (rangeOp (KeyRange.single (b "a"))) { none with MaxMod = 4L }
              Expect.equal answer { Kvs = []; More = false; Count = 0L } "a is newer") ]

let tests = testList "reads" [ ends; answers; filters ]
