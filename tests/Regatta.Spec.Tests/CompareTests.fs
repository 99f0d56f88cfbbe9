/// wire.md 1.3 and 0: the sentences about compares.
module Regatta.Spec.Tests.CompareTests

open Expecto
open Regatta.Spec
open Regatta.Spec.Tests.Build

let private relations = [ Relation.Equal; Relation.NotEqual; Relation.Greater; Relation.Less ]

let private operands =
    [ Operand.Value(b ""); Operand.Version 0L; Operand.CreateRevision 0L; Operand.ModRevision 0L; Operand.Exists ]

/// a: value "m", created 1, changed 4, version 3; b: value 80, created 2, changed 2, version 1.
let private state =
    after [ put "a" "x"; Command.Put { Key = b "b"; Value = raw [ 0x80 ]; PrevKv = false }; put "a" "y"; put "a" "m" ]

let private holding compare' operand = relations |> List.filter (fun relation -> Reading.holds (compare' relation operand) state.Entries)
let private ofA operand = holding (compareKey "a") operand
let private ofMissing operand = holding (compareKey "x") operand

let private number name operand stored =
    testCase $"{name} compares with the stored number on the left, signed" (fun () ->
        Expect.equal (ofA (operand stored)) [ Relation.Equal ] "the same"
        Expect.equal (ofA (operand (stored - 1L))) [ Relation.NotEqual; Relation.Greater ] "the stored one is greater"
        Expect.equal (ofA (operand (stored + 1L))) [ Relation.NotEqual; Relation.Less ] "the stored one is less"
        Expect.equal (ofA (operand -1L)) [ Relation.NotEqual; Relation.Greater ] "a negative one")

let private missingNumber name operand =
    testCase $"{name} of a missing key compares as 0" (fun () ->
        Expect.equal (ofMissing (operand 0L)) [ Relation.Equal ] "0"
        Expect.equal (ofMissing (operand 1L)) [ Relation.NotEqual; Relation.Less ] "1"
        Expect.equal (ofMissing (operand -1L)) [ Relation.NotEqual; Relation.Greater ] "-1")

let private single =
    testList
        "of a key"
        [ testCase "VALUE compares bytewise with the stored value on the left" (fun () ->
              Expect.equal (ofA (Operand.Value(b "m"))) [ Relation.Equal ] "the same"
              Expect.equal (ofA (Operand.Value(b "z"))) [ Relation.NotEqual; Relation.Less ] "m < z"
              Expect.equal (ofA (Operand.Value(b "c"))) [ Relation.NotEqual; Relation.Greater ] "m > c"
              Expect.equal (ofA (Operand.Value(b "mm"))) [ Relation.NotEqual; Relation.Less ] "m < mm"
              Expect.equal (ofA (Operand.Value(b ""))) [ Relation.NotEqual; Relation.Greater ] "m > the empty value"
              let ofB = holding (compareKey "b") (Operand.Value(raw [ 0x7f ]))
              Expect.equal ofB [ Relation.NotEqual; Relation.Greater ] "80 > 7f: bytes have no sign")

          number "VERSION" Operand.Version 3L
          number "CREATE" Operand.CreateRevision 1L
          number "MOD" Operand.ModRevision 4L
          missingNumber "VERSION" Operand.Version
          missingNumber "CREATE" Operand.CreateRevision
          missingNumber "MOD" Operand.ModRevision

          testCase "VALUE of a missing key is false, even NOT_EQUAL" (fun () ->
              for value in [ ""; "m" ] do
                  Expect.isEmpty (ofMissing (Operand.Value(b value))) $"no relation to '{value}'")

          testCase "no target_union tests for existence, whatever the relation" (fun () ->
              Expect.equal (ofA Operand.Exists) relations "a key that is there"
              Expect.isEmpty (ofMissing Operand.Exists) "a key that is not")

          testCase "CREATE EQUAL 0 is create-if-absent" (fun () ->
              let create key = txn [ compareKey key Relation.Equal (Operand.CreateRevision 0L) ] [ opPut key "new" ] []
              Expect.equal (get (run [ create "x" ] state) "x") (Some(entry "new" 5L 5L 1L)) "created"
              Expect.equal (get (run [ create "a" ] state) "a") (get state "a") "left alone"
              Expect.equal (get (run [ create "x"; create "x" ] state) "x") (Some(entry "new" 5L 5L 1L)) "created once") ]

let private ranges =
    testList
        "of a range"
        [ testCase "holds when every key matches, not when only some do" (fun () ->
              let holds relation operand = Reading.holds (compareRange KeyRange.all relation operand) state.Entries
              Expect.isTrue (holds Relation.Greater (Operand.Value(b "c"))) "both values are greater than c"
              Expect.isFalse (holds Relation.Equal (Operand.Value(b "m"))) "only a is m"
              Expect.isFalse (holds Relation.NotEqual (Operand.Value(raw [ 0x80 ]))) "b is 80"
              Expect.isTrue (holds Relation.Less (Operand.ModRevision 5L)) "nothing changed since 5"
              Expect.isFalse (holds Relation.Less (Operand.ModRevision 4L)) "a changed at 4"
              Expect.isTrue (holds Relation.Greater (Operand.Version 0L)) "every version is at least 1"
              Expect.isFalse (holds Relation.Equal (Operand.Version 3L)) "b has version 1"
              Expect.isTrue (holds Relation.Less (Operand.CreateRevision 3L)) "both were created before 3"
              Expect.isFalse (holds Relation.Equal (Operand.CreateRevision 1L)) "b was created at 2"
              Expect.isTrue (holds Relation.Equal Operand.Exists) "there are keys")

          testCase "looks at the keys in the range only" (fun () ->
              let holds range = Reading.holds (compareRange range Relation.Equal (Operand.Version 3L)) state.Entries
              Expect.isTrue (holds (KeyRange.between (b "a") (b "b"))) "a alone"
              Expect.isFalse (holds (KeyRange.from (b "a"))) "a and b")

          testCase "without keys is false, whatever the target and the relation" (fun () ->
              for range in [ KeyRange.between (b "x") (b "y"); KeyRange.between (b "b") (b "a"); KeyRange.from (b "c") ] do
                  for operand in operands do
                      Expect.isEmpty (holding (compareRange range) operand) $"{operand} over {range}")

          testCase "of one missing key is a range all the same: not compared as 0" (fun () ->
              let range = KeyRange.between (b "x") (b "x\000")
              Expect.isEmpty (holding (compareRange range) (Operand.Version 0L)) "[x, x0)"
              Expect.equal (ofMissing (Operand.Version 0L)) [ Relation.Equal ] "x") ]

let tests = testList "compares" [ single; ranges ]
