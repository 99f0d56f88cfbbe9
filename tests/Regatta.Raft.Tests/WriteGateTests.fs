module Regatta.Raft.Tests.WriteGateTests

open System.Threading
open Expecto
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures

let tests =
    testList
        "The gate before the log's disk"
        [ taskCase "closed while rounds come, holds one and says so"
          <| fun () ->
              task {
                  let gate = WriteGate()
                  use last = new CancellationTokenSource()

                  let rounds =
                      Thread(fun () ->
                          while not last.IsCancellationRequested do
                              gate.Pass())

                  rounds.Start()

                  try
                      for closing in 1 .. Scale.pick 2_000 100_000 do
                          gate.Close()
                          do! soon gate.Reached
                          let before = gate.Rounds
                          Thread.SpinWait 20
                          Expect.equal gate.Rounds before $"none goes on through closing {closing}"
                          gate.Open()
                  finally
                      last.Cancel()
                      gate.Open()
                      rounds.Join()
              } ]
