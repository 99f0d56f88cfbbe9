module Regatta.Raft.Tests.BallotTests

open Expecto
open Regatta.Raft

/// How a ballot of so many members stands after each of the answers.
let private decided members answers =
    let ballot = Ballot members

    [ for isFor in answers do
          ballot.Count isFor
          ballot.Decided.IsCancellationRequested ]

let tests =
    testList
        "ballots"
        [ for members, answers, expected in
              [ 1, [ true ], [ true ]
                1, [ false ], [ true ]
                3, [ true; true; true ], [ false; true; true ]
                3, [ true; false; true ], [ false; false; true ]
                3, [ false; true; false ], [ false; false; true ]
                3, [ false; false ], [ false; true ]
                5, [ true; true; false; false; true ], [ false; false; false; false; true ]
                5, [ true; true; false; false; false ], [ false; false; false; false; true ]
                5, [ false; false; false ], [ false; false; true ]
                4, [ false; false ], [ false; true ]
                4, [ true; true; true ], [ false; false; true ] ] do
              testCase $"of {members} members, answered %A{answers}: over when the others change nothing" (fun () ->
                  Expect.equal (decided members answers) expected "after each answer")
          testCase "a member is asked each question once; the second time it is the next question" (fun () ->
              let ballots = Ballots 3
              let first = ballots.Ask 1L
              Expect.isTrue (obj.ReferenceEquals(first, ballots.Ask 2L)) "another member: the same question"
              let second = ballots.Ask 1L
              Expect.isFalse (obj.ReferenceEquals(first, second)) "asked again"
              Expect.isTrue (obj.ReferenceEquals(second, ballots.Ask 2L)) "the next question, for all"
              Expect.isTrue (obj.ReferenceEquals(second, ballots.Ask 3L)) "whoever has not been asked"
              let third = ballots.Ask 1L
              Expect.isFalse (obj.ReferenceEquals(second, third)) "who was the first to be asked the question is asked a third one"
              second.Count true
              second.Count true
              Expect.isFalse first.Decided.IsCancellationRequested "answers count for one question") ]
