/// wire.md 1.3, 0 and 5: the sentences about transactions.
module Regatta.Spec.Tests.TxnTests

open Expecto
open Regatta.Spec
open Regatta.Spec.Tests.Build

let private exists key = compareKey key Relation.Equal Operand.Exists
let private one = after [ put "a" "1" ]

let private outcome state command =
    match response state command with
    | Response.Txn(succeeded, responses) -> succeeded, responses
    | other -> failtestf "a transaction answered %A" other

let private found pairs = Response.Range { Kvs = pairs; More = false; Count = int64 (List.length pairs) }

let private branches =
    testList
        "a transaction"
        [ testCase "takes the success branch when every compare holds, the failure branch when one does not" (fun () ->
              let choose compares = get (run [ txn compares [ opPut "r" "yes" ] [ opPut "r" "no" ] ] one) "r" |> Option.map _.Value
              Expect.equal (choose []) (Some(b "yes")) "no compares"
              Expect.equal (choose [ exists "a"; exists "a" ]) (Some(b "yes")) "two that hold"
              Expect.equal (choose [ exists "a"; exists "x" ]) (Some(b "no")) "the second fails"
              Expect.equal (choose [ exists "x"; exists "a" ]) (Some(b "no")) "the first fails")

          testCase "says in succeeded which branch it took, and answers each operation of it in order" (fun () ->
              let ops = [ opPut "b" "2"; opGet "a"; opDelete "x" ]
              let responses = [ Response.Put None; found [ kv "a" (entry "1" 1L 1L 1L) ]; Response.Delete(0L, []) ]
              Expect.equal (outcome one (txn [] ops [])) (true, responses) "success"
              Expect.equal (outcome one (txn [ exists "x" ] [] ops)) (false, responses) "failure")

          testCase "compares on the state before it" (fun () ->
              Expect.equal (outcome one (txn [ exists "b" ] [ opPut "b" "1" ] []) |> fst) false "its own put does not count")

          testCase "reads what earlier operations of it did" (fun () ->
              let ops = [ opGet "b"; opPut "b" "2"; opGet "b"; opDelete "b"; opGet "b" ]

              let expected = [ found []; Response.Put None; found [ kv "b" (entry "2" 2L 2L 1L) ]; Response.Delete(0L, []); found [] ]

              Expect.equal (outcome one (txn [] ops [])) (true, expected) "before, after the put, after the delete")

          testCase "returns as prev_kv what an earlier put of it put" (fun () ->
              let previous value = Op.Put { putOp "a" value with PrevKv = true }
              let _, responses = outcome one (txn [] [ previous "2"; previous "3" ] [])
              let expected = [ kv "a" (entry "1" 1L 1L 1L); kv "a" (entry "2" 1L 2L 2L) ]
              Expect.equal responses (expected |> List.map (Some >> Response.Put)) "both")

          testCase "deletes with prev_kv what an earlier put of it put, and the same key only once" (fun () ->
              let delete = Op.Delete { Range = KeyRange.all; PrevKv = true; Count = false }
              let _, responses = outcome one (txn [] [ opPut "b" "2"; delete; delete ] [])
              let pairs = [ kv "a" (entry "1" 1L 1L 1L); kv "b" (entry "2" 2L 2L 1L) ]
              Expect.equal responses.Tail [ Response.Delete(2L, pairs); Response.Delete(0L, []) ] "the deletes")

          testCase "gives all its puts its one revision as mod_revision" (fun () ->
              let state = run [ txn [] [ opPut "a" "2"; opPut "b" "2" ] [] ] one
              Expect.equal (get state "a") (Some(entry "2" 1L 2L 2L)) "a"
              Expect.equal (get state "b") (Some(entry "2" 2L 2L 1L)) "b")

          testCase "may put a key twice: the last wins, and each put counts as a version" (fun () ->
              let state = run [ txn [] [ opPut "a" "2"; opPut "a" "3"; opPut "b" "4"; opPut "b" "5" ] [] ] one
              Expect.equal (get state "a") (Some(entry "3" 1L 2L 3L)) "a"
              Expect.equal (get state "b") (Some(entry "5" 2L 2L 2L)) "b, created in it")

          testCase "that deletes a key and puts it again creates it anew" (fun () ->
              Expect.equal (get (run [ txn [] [ opDelete "a"; opPut "a" "2" ] [] ] one) "a") (Some(entry "2" 2L 2L 1L)) "a")

          testCase "ranges with limit, keys_only and count_only" (fun () ->
              let state = run [ put "b" "2"; put "c" "3" ] one
              let op limit projection = Op.Range { Range = KeyRange.all; Limit = limit; Projection = projection }
              let ops = [ op 2L Projection.KeysOnly; op 0L Projection.CountOnly; op 1L Projection.CountOnly ]

              let expected =
                  [ { Kvs = [ kv "a" (entry "" 1L 1L 1L); kv "b" (entry "" 2L 2L 1L) ]
                      More = true
                      Count = 2L }
                    { Kvs = []; More = false; Count = 3L }
                    { Kvs = []; More = true; Count = 1L } ]

              Expect.equal (outcome state (txn [] ops [ opDelete "x" ])) (true, List.map Response.Range expected) "the three answers") ]

let private readOnly =
    testList
        "a read-only transaction"
        [ testCase "is one of ranges only, or of nothing, in both branches" (fun () ->
              let isReadOnly success failure = Txn.isReadOnly { Compares = [ exists "a" ]; Success = success; Failure = failure }
              Expect.isTrue (isReadOnly [] []) "nothing"
              Expect.isTrue (isReadOnly [ opGet "a" ] [ opGet "b" ]) "ranges"
              Expect.isFalse (isReadOnly [ opGet "a" ] [ opPut "b" "1" ]) "a put in the branch that may not be taken"
              Expect.isFalse (isReadOnly [ opGet "a"; opDelete "x" ] []) "a delete, though of nothing")

          testCase "takes no revision, changes nothing and carries the revision that it saw" (fun () ->
              let state, reply = Table.apply one (txn [ exists "a" ] [ opGet "a" ] [])
              Expect.equal state one "the state"
              Expect.equal reply.Revision 1L "the revision"
              Expect.equal reply.Response (Response.Txn(true, [ found [ kv "a" (entry "1" 1L 1L 1L) ] ])) "the answer")

          testCase "answers as a query too, and says which branch it took when that is empty" (fun () ->
              let query compares = Table.query one (Query.Txn { Compares = compares; Success = []; Failure = [ opGet "a" ] })
              Expect.equal (query []) { Revision = 1L; Response = Response.Txn(true, []) } "success, empty"
              let failure = Response.Txn(false, [ found [ kv "a" (entry "1" 1L 1L 1L) ] ])
              Expect.equal (query [ exists "x" ]) { Revision = 1L; Response = failure } "failure")

          testCase "is the only kind of transaction that a query may be" (fun () ->
              let query () = Table.query one (Query.Txn { Compares = []; Success = []; Failure = [ opDelete "a" ] }) |> ignore
              Expect.throwsT<System.ArgumentException> query "one that may delete") ]

let tests = testList "transactions" [ branches; readOnly ]
