---------------------- MODULE SiteReplicationCatchesUp ----------------------
(* A follower site that stays connected catches up, wherever the changelog was cut, and whoever pulls. For TLC only. *)
EXTENDS SiteReplication

(* The changelog was cut where the stream is: it is told so. *)
Outrun == stream < oldest /\ Break

Pull == Outrun \/ Open \/ Propose \/ Stage \/ Install \/ \E upTo \in 0..Len(history) : Bring(upTo)

(* The leader site goes on as it is, streams last, and the fate of an entry is known; all else may happen. *)
Connected == Write \/ Trim \/ Pull \/ \E n \in Nodes : MovePuller(n) \/ Apply(n)

FairSpec == Init /\ [][Connected]_vars /\ WF_vars(Pull) /\ \A n \in Nodes : WF_vars(Apply(n))

CatchesUp == <>[](\A n \in Nodes : data[n] = history)
=============================================================================
