namespace Regatta.Testing.Nodes

open System
open System.ComponentModel
open System.IO
open System.Runtime.InteropServices
open Microsoft.Win32.SafeHandles
open Expecto

module private Ioctl =
    [<DllImport("libc", SetLastError = true)>]
    extern int ioctl(SafeFileHandle file, unativeint request, int& argument)

    [<DllImport("libc", SetLastError = true)>]
    extern nativeint ``open``(string path, int flags)

    /// The kernel's EXT4_IOC_SHUTDOWN / FS_IOC_SHUTDOWN.
    let shutdown = 0x8004587dun

    /// Stop at once: neither what is in memory nor the file system's own journal gets to the disk any more.
    let withoutFlush = 2

/// A file system in a file, which can lose its power. What was synced before is there after `Restore`, what was not is gone, as after a power loss
/// of the machine; kill -9 never shows that, because the kernel keeps what was written.
type Ext4Disk(megabytes: int) =
    let scratch = new Scratch()
    let image = scratch.Sub "disk.img"
    let mount = scratch.Sub "disk"
    let attach () = Machine.must "mount" [ "-o"; "loop"; image; mount ] |> ignore
    let detach () = Machine.must "umount" [ mount ] |> ignore

    do
        Directory.CreateDirectory mount |> ignore
        Machine.must "truncate" [ "-s"; $"{megabytes}M"; image ] |> ignore
        // All of it is for whoever asks, also root.
        Machine.must "mkfs.ext4" [ "-q"; "-F"; "-m"; "0"; image ] |> ignore
        attach ()

    /// Skips the test with a sentence where the machine does not let us do this.
    static member Needs what =
        Machine.needsRoot what
        Machine.needsCommand what "mkfs.ext4"
        Machine.needsCommand what "losetup"

        if not (File.Exists "/dev/loop-control") then skiptest $"left out: {what} needs loop devices"

    member _.Path = mount

    /// From here on nothing reaches the disk, and every write and sync of it fails.
    member _.CutPower() =
        use directory = new SafeFileHandle(Ioctl.``open`` (mount, 0), true)

        if directory.IsInvalid then raise (Win32Exception(Marshal.GetLastPInvokeError()))

        let mutable argument = Ioctl.withoutFlush

        if Ioctl.ioctl (directory, Ioctl.shutdown, &argument) <> 0 then raise (Win32Exception(Marshal.GetLastPInvokeError()))

    /// Power is back: the file system replays its journal. Nothing may have files open in it.
    member _.Restore() =
        detach ()
        attach ()

    interface IDisposable with
        member _.Dispose() =
            detach ()
            (scratch :> IDisposable).Dispose()

/// A file that takes up the room of a file system.
type Ballast(directory: string) =
    let file = Path.Combine(directory, "ballast")
    member _.FreeBytes = DriveInfo(directory).AvailableFreeSpace

    /// Takes space until no more than so many bytes are left.
    member ballast.FillUpTo(left: int64) =
        let missing = ballast.FreeBytes - left
        let there = if File.Exists file then FileInfo(file).Length else 0L

        if missing > 0L then
            // Blocks that are promised to a file are gone for all others, without a byte's being written. What the file system does not promise, writes take.
            Machine.run (TimeSpan.FromMinutes 1.0) "fallocate" [ "-o"; string there; "-l"; string missing; file ] |> ignore

        use file = new FileStream(file, FileMode.Append, FileAccess.Write, FileShare.None, 1)
        let block = Array.zeroCreate<byte> 65536
        let mutable full = false

        while not full && ballast.FreeBytes > left do
            try
                file.Write(block, 0, int (min (int64 block.Length) (ballast.FreeBytes - left)))
            with :? IOException ->
                full <- true

    /// Gives the space back, for good: without the sync a loss of power would bring the file back.
    member _.MakeRoom() =
        File.Delete file
        Machine.must "sync" [ "-f"; directory ] |> ignore

/// A small file system in memory, to be filled up.
type SmallDisk(megabytes: int) =
    let scratch = new Scratch()
    let mount = scratch.Sub "disk"
    let ballast = Ballast mount

    do
        Directory.CreateDirectory mount |> ignore
        Machine.must "mount" [ "-t"; "tmpfs"; "-o"; $"size={megabytes}m"; "tmpfs"; mount ] |> ignore

    member _.Path = mount
    member _.FreeBytes = ballast.FreeBytes
    member _.FillUpTo(left: int64) = ballast.FillUpTo left
    member _.MakeRoom() = ballast.MakeRoom()

    interface IDisposable with
        member _.Dispose() =
            Machine.must "umount" [ mount ] |> ignore
            (scratch :> IDisposable).Dispose()
