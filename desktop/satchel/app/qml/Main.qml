import QtQuick
import QtQuick.Controls.Basic
import QtQuick.Dialogs

Window {
    id: window
    width: 950
    height: 975
    minimumWidth: 420
    minimumHeight: 520
    visible: !startHidden
    title: qsTr("Satchel")
    color: Tokens.page
    // Closing hides: uploads go on, and starting Satchel again shows the window.
    onClosing: close => {
        close.accepted = false
        window.hide()
    }

    property bool inSettings: false
    readonly property bool signedIn: satchel.signedIn === "signed_in"

    Shortcut { sequences: [StandardKey.Open]; enabled: window.signedIn; onActivated: files.open() }
    Shortcut { sequence: "Ctrl+,"; enabled: window.signedIn; onActivated: window.inSettings = !window.inSettings }
    Shortcut { sequences: [StandardKey.Paste]; enabled: window.signedIn && !window.inSettings; onActivated: satchel.paste() }
    Shortcut { sequences: [StandardKey.Quit]; onActivated: Qt.quit() }

    FileDialog {
        id: files
        title: qsTr("Choose files to share")
        fileMode: FileDialog.OpenFiles
        onAccepted: satchel.drop(selectedFiles)
    }
    HeldList { id: heldList; objectName: "heldList" }
    Connections {
        target: satchel
        function onToast(title, detail, bad) { toast.say(title, detail, bad) }
    }

    // The keyboard's focus is never out of sight.
    onActiveFocusItemChanged: {
        if (!activeFocusItem)
            return
        for (let above = activeFocusItem.parent; above; above = above.parent) {
            if (above instanceof Flickable && above.contentHeight > above.height) {
                const at = activeFocusItem.mapToItem(above.contentItem, 0, 0)
                const low = at.y + activeFocusItem.height + 24 - above.height
                if (at.y - 24 < above.contentY)
                    above.contentY = Math.max(above.originY - above.topMargin, at.y - 24)
                else if (low > above.contentY)
                    above.contentY = Math.min(low, above.originY + above.contentHeight - above.height)
                return
            }
        }
    }

    Column {
        anchors.centerIn: parent
        visible: satchel.signedIn === "starting"
        spacing: 18
        Image { anchors.horizontalCenter: parent.horizontalCenter; source: "../icons/satchel.svg"; sourceSize: Qt.size(72, 72); width: 72; height: 72; Accessible.ignored: true }
        Text { anchors.horizontalCenter: parent.horizontalCenter; text: satchel.headline; color: Tokens.quiet; font.pixelSize: Tokens.small; Accessible.role: Accessible.StaticText; Accessible.name: text }
    }
    Loader { anchors.fill: parent; active: satchel.signedIn === "signed_out"; visible: active; sourceComponent: SignIn {} }
    Loader { anchors.fill: parent; active: window.signedIn && window.inSettings; visible: active; sourceComponent: Settings { onBack: window.inSettings = false } }

    Item {
        anchors.fill: parent
        visible: window.signedIn && !window.inSettings

        Item {
            id: header
            x: Tokens.margin
            y: 25
            width: parent.width - 2 * Tokens.margin
            height: 52
            Rectangle {
                id: avatar
                width: 52
                height: 52
                radius: 26
                gradient: Gradient {
                    orientation: Gradient.Horizontal
                    GradientStop { position: 0; color: "#7a5cff" }
                    GradientStop { position: 1; color: "#ff6fb8" }
                }
                Text { anchors.centerIn: parent; text: satchel.initials; color: "white"; font.pixelSize: Tokens.small; font.weight: Font.DemiBold; Accessible.ignored: true }
            }
            Column {
                anchors { left: avatar.right; leftMargin: 15; right: buttons.left; rightMargin: 12; verticalCenter: parent.verticalCenter }
                spacing: 3
                Text { width: parent.width; elide: Text.ElideMiddle; text: satchel.email; textFormat: Text.PlainText; color: Tokens.text; font.pixelSize: window.width < 640 ? Tokens.body - 1 : Tokens.heading - 1; font.weight: Font.DemiBold; font.letterSpacing: -0.3 }
                Text { width: parent.width; elide: Text.ElideRight; text: satchel.usage; color: Tokens.quiet; font.pixelSize: Tokens.small }
            }
            Row {
                id: buttons
                anchors { right: parent.right; verticalCenter: parent.verticalCenter }
                spacing: Tokens.gap
                Pill { anchors.verticalCenter: parent.verticalCenter; visible: window.width >= 640; text: satchel.headline; tone: satchel.tone; onClicked: heldList.open() }
                PushButton { implicitWidth: 47; implicitHeight: 47; glyph: Icons.folder; hint: qsTr("Open the watched folder"); onClicked: satchel.folders.open() }
                PushButton { implicitWidth: 47; implicitHeight: 47; glyph: Icons.settings; hint: qsTr("Settings"); onClicked: window.inSettings = true }
            }
        }
        Pill {
            id: lowPill
            visible: window.width < 640
            anchors { left: header.left; top: header.bottom; topMargin: visible ? 14 : 0 }
            height: visible ? implicitHeight : 0
            widest: header.width
            text: satchel.headline
            tone: satchel.tone
            onClicked: heldList.open()
        }
        Column {
            id: notices
            anchors { left: header.left; right: header.right; top: lowPill.bottom; topMargin: 14 }
            spacing: 8
            Repeater {
                model: satchel.notices
                Rectangle {
                    id: notice
                    required property var modelData
                    width: notices.width
                    height: said.implicitHeight + 20
                    radius: Tokens.smallRadius
                    color: Tokens.tones.offline.back
                    Text {
                        id: said
                        anchors { left: parent.left; right: parent.right; margins: 14; verticalCenter: parent.verticalCenter }
                        wrapMode: Text.Wrap
                        textFormat: Text.PlainText
                        text: notice.modelData.title + ". " + notice.modelData.detail
                        color: Tokens.tones.offline.text
                        font.pixelSize: Tokens.tiny
                        Accessible.role: Accessible.Note
                        Accessible.name: text
                    }
                }
            }
        }
        DropZone {
            id: zone
            anchors { left: header.left; right: header.right; top: notices.bottom; topMargin: notices.height > 0 ? 12 : 6 }
            height: window.height > 700 ? 210 : 110
            onBrowse: files.open()
            onDropped: urls => satchel.drop(urls)
        }
        Item {
            id: bar
            anchors { left: header.left; right: header.right; top: zone.bottom; topMargin: 20 }
            height: 40
            Text { anchors.verticalCenter: parent.verticalCenter; text: qsTr("Transfers"); color: Tokens.text; font.pixelSize: Tokens.heading; font.weight: Font.DemiBold; font.letterSpacing: -0.3; Accessible.role: Accessible.Heading; Accessible.name: text }
            PushButton {
                anchors { right: which.left; rightMargin: 10; verticalCenter: parent.verticalCenter }
                visible: satchel.anyDone && window.width >= 520
                kind: "quiet"
                text: qsTr("Clear done")
                hint: qsTr("Take what is done off this list; the files and their links stay")
                onClicked: satchel.clearDone()
            }
            Segmented {
                id: which
                anchors { right: parent.right; verticalCenter: parent.verticalCenter }
                name: qsTr("Which transfers to show")
                value: satchel.filter
                choices: [{ value: "all", text: qsTr("All") }, { value: "active", text: qsTr("Active") }, { value: "done", text: qsTr("Done") }]
                onChosen: value => satchel.showOnly(value)
            }
        }
        ListView {
            id: list
            anchors { left: parent.left; right: parent.right; top: bar.bottom; topMargin: 12; bottom: parent.bottom; bottomMargin: 1 }
            leftMargin: Tokens.margin
            rightMargin: Tokens.margin
            topMargin: 5
            bottomMargin: 24
            spacing: 11
            clip: true
            model: satchel.transfers
            boundsBehavior: Flickable.StopAtBounds
            delegate: TransferRow { width: list.width - 2 * Tokens.margin }
            Accessible.role: Accessible.List
            Accessible.name: qsTr("Transfers list")
            ScrollBar.vertical: Bar { flickable: list }
            Column {
                anchors.centerIn: parent
                width: parent.width - 2 * Tokens.margin
                visible: list.count === 0
                spacing: 6
                readonly property var words: ({
                    all: [qsTr("Nothing here yet"), qsTr("What you drop shows up here with its link.")],
                    active: [qsTr("Nothing is under way"), qsTr("What is on its way, paused or failed shows up here.")],
                    done: [qsTr("Nothing is done yet"), qsTr("What has arrived shows up here with its link.")]
                })[satchel.filter]
                Text { width: parent.width; horizontalAlignment: Text.AlignHCenter; text: parent.words[0]; color: Tokens.text; font.pixelSize: Tokens.body; font.weight: Font.Medium }
                Text { width: parent.width; horizontalAlignment: Text.AlignHCenter; wrapMode: Text.Wrap; text: parent.words[1]; color: Tokens.quiet; font.pixelSize: Tokens.small }
            }
        }
        // The whole window takes drops, not only the zone.
        DropArea {
            anchors.fill: parent
            z: -1
            keys: ["text/uri-list"]
            onDropped: drop => {
                if (drop.hasUrls) {
                    drop.accept(Qt.CopyAction)
                    satchel.drop(drop.urls)
                }
            }
        }
    }
    Toast { id: toast; anchors { horizontalCenter: parent.horizontalCenter; bottom: parent.bottom; bottomMargin: 28 } z: 10 }
}
