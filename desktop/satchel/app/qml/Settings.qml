import QtQuick
import QtQuick.Controls.Basic
import QtQuick.Dialogs

Flickable {
    id: page
    signal back
    property string mode: "upload-only"
    contentHeight: column.implicitHeight + 60
    boundsBehavior: Flickable.StopAtBounds
    ScrollBar.vertical: Bar { flickable: page }
    clip: true
    Keys.onEscapePressed: back()

    FolderDialog {
        id: picker
        objectName: "folderPicker"
        title: qsTr("Choose a folder to watch")
        onAccepted: satchel.folders.add(selectedFolder, remote.text, page.mode)
    }

    component Section: Text {
        color: Tokens.text
        font.pixelSize: Tokens.heading - 2
        font.weight: Font.DemiBold
        Accessible.role: Accessible.Heading
        Accessible.name: text
    }

    // Enter or going on to something else sets it; Escape leaves the page and what was so.
    // What was set is shown as it is so, though never over what somebody is typing.
    component LimitField: Field {
        id: limit
        property string setting
        property bool typing: false
        function show() { if (!typing) text = satchel.preferences.limits[setting] }
        width: Math.min(240, column.width)
        placeholder: qsTr("No limit")
        onEdited: { typing = true; bad = false }
        onFinished: {
            if (!typing)
                return
            typing = false
            bad = !satchel.preferences.setLimit(setting, text)
            typing = bad
        }
        Component.onCompleted: show()
        Connections { target: satchel.preferences; function onChanged() { limit.show() } }
    }

    Column {
        id: column
        x: Tokens.margin
        y: 25
        width: page.width - 2 * Tokens.margin
        spacing: 18

        Row {
            spacing: 14
            PushButton { id: backButton; glyph: Icons.back; implicitWidth: 47; implicitHeight: 47; hint: qsTr("Back"); onClicked: page.back() }
            Text { anchors.verticalCenter: parent.verticalCenter; text: qsTr("Settings"); color: Tokens.text; font.pixelSize: Tokens.title; font.weight: Font.DemiBold; Accessible.role: Accessible.Heading; Accessible.name: text }
        }

        Section { text: qsTr("Watched folders") }
        Repeater {
            model: satchel.folders.rows
            Rectangle {
                id: root
                required property var modelData
                width: column.width
                readonly property bool asks: modelData.deletions > 0
                // Where there is no room beside the words, the button has a line of its own.
                readonly property real line: choose.visible && width < 600 ? choose.height + 10 : 0
                height: 92 + line + (asks ? asking.height : 0) + (modelData.chooses ? choosing.height : 0)
                radius: Tokens.radius
                color: Tokens.card
                border.width: 1
                border.color: Tokens.line
                Accessible.role: Accessible.ListItem
                Accessible.name: modelData.path
                Accessible.description: modelData.goes + ". " + modelData.looks
                Icon { id: sign; x: 20; anchors.verticalCenter: remove.verticalCenter; path: Icons.folder; color: Tokens.accent }
                Column {
                    anchors { left: sign.right; leftMargin: 16; right: choose.visible && !root.line ? choose.left : remove.left; rightMargin: 12; verticalCenter: remove.verticalCenter }
                    spacing: 3
                    Text { width: parent.width; elide: Text.ElideMiddle; text: root.modelData.path; Accessible.ignored: true; textFormat: Text.PlainText; color: Tokens.text; font.pixelSize: Tokens.body - 1; font.weight: Font.Medium }
                    Text { width: parent.width; elide: Text.ElideRight; text: root.modelData.goes; textFormat: Text.PlainText; color: Tokens.quiet; font.pixelSize: Tokens.small - 1 }
                    Text { width: parent.width; elide: Text.ElideRight; text: root.modelData.looks; Accessible.ignored: true; textFormat: Text.PlainText; color: Tokens.quiet; font.pixelSize: Tokens.tiny }
                }
                PushButton { id: remove; y: (92 - height) / 2; anchors { right: parent.right; rightMargin: 18 } text: qsTr("Stop watching"); hint: qsTr("Stop watching %1").arg(root.modelData.path); onClicked: satchel.folders.remove(root.modelData.root_id) }
                PushButton {
                    id: choose
                    visible: root.modelData.mode === "two-way"
                    x: root.line ? 20 : remove.x - width - 10
                    y: root.line ? 84 : remove.y
                    text: root.modelData.chooses ? qsTr("Done") : qsTr("Choose folders")
                    hint: qsTr("Choose which folders of %1 this computer has").arg(root.modelData.path)
                    onClicked: satchel.folders.choose(root.modelData.root_id)
                }
                Column {
                    id: choosing
                    visible: root.modelData.chooses
                    y: 84 + root.line + (root.asks ? asking.height : 0)
                    anchors { left: parent.left; leftMargin: 20; right: parent.right; rightMargin: 18 }
                    spacing: 2
                    bottomPadding: 10
                    Text {
                        width: parent.width
                        wrapMode: Text.Wrap
                        bottomPadding: 4
                        text: root.modelData.choices.length ? qsTr("What is off stays online and on your other computers; the copy here goes to the folder's own trash.") : qsTr("There are no folders online yet.")
                        color: Tokens.quiet
                        font.pixelSize: Tokens.small
                    }
                    Repeater {
                        model: root.modelData.choices
                        Toggle {
                            required property var modelData
                            text: modelData.path
                            on: modelData.here
                            onWished: on => satchel.folders.have(root.modelData.root_id, modelData.path, on)
                        }
                    }
                }
                Column {
                    id: asking
                    visible: root.asks
                    anchors { top: parent.top; topMargin: 84 + root.line; left: parent.left; leftMargin: 20; right: parent.right; rightMargin: 18 }
                    spacing: 10
                    bottomPadding: 10
                    Text { width: parent.width; wrapMode: Text.Wrap; text: qsTr("%1 files are gone at once on one side, so they were not deleted on the other. Put them back, or say that you meant it.").arg(root.modelData.deletions); textFormat: Text.PlainText; color: Tokens.bad; font.pixelSize: Tokens.small }
                    PushButton { text: qsTr("Delete them"); hint: qsTr("Delete %1 files of %2").arg(root.modelData.deletions).arg(root.modelData.path); onClicked: satchel.folders.confirmDeletions(root.modelData.root_id, root.modelData.deletions) }
                }
            }
        }
        Column {
            width: parent.width
            spacing: 8
            Text { text: qsTr("What a new folder does"); color: Tokens.quiet; font.pixelSize: Tokens.tiny; font.weight: Font.Medium; Accessible.ignored: true }
            Segmented {
                name: qsTr("What a new folder does")
                value: page.mode
                choices: [{ value: "upload-only", text: qsTr("Upload only") }, { value: "two-way", text: qsTr("Two-way") }]
                onChosen: value => page.mode = value
            }
            Text {
                width: parent.width
                wrapMode: Text.Wrap
                color: Tokens.quiet
                font.pixelSize: Tokens.small
                text: page.mode === "two-way"
                    ? qsTr("What changes here or online changes on both sides, and on your other computers.")
                    : qsTr("What changes here is uploaded; nothing in the folder is ever changed from outside.")
            }
        }
        Flow {
            width: parent.width
            spacing: 12
            Field { id: remote; width: Math.min(320, column.width); label: qsTr("Remote folder (the folder's own name when empty)"); placeholder: "/Share" }
            Item {
                width: add.implicitWidth
                height: 66
                PushButton { id: add; anchors.bottom: parent.bottom; implicitHeight: 44; kind: "soft"; glyph: Icons.folder; text: qsTr("Add a folder…"); onClicked: picker.open() }
            }
        }

        Section { text: qsTr("Look") }
        Segmented {
            name: qsTr("Look")
            value: satchel.preferences.theme
            choices: [{ value: "system", text: qsTr("System") }, { value: "light", text: qsTr("Light") }, { value: "dark", text: qsTr("Dark") }]
            onChosen: value => satchel.preferences.chooseTheme(value)
        }

        Section { text: qsTr("Behaviour") }
        Column {
            width: parent.width
            spacing: 6
            Toggle { text: qsTr("Start when you log in"); on: satchel.preferences.startsAtLogin; onWished: on => satchel.preferences.startAtLogin(on) }
            Toggle { text: qsTr("Tell when an upload ends and the window is closed"); on: satchel.preferences.notifies; onWished: on => satchel.preferences.notify(on) }
        }

        Section { text: qsTr("Limits") }
        Flow {
            width: parent.width
            spacing: 12
            LimitField { setting: "upload_limit"; label: qsTr("Upload limit in MB/s") }
            LimitField { setting: "download_limit"; label: qsTr("Download limit in MB/s") }
        }

        Section { text: qsTr("Account") }
        Text {
            width: parent.width
            wrapMode: Text.Wrap
            textFormat: Text.PlainText
            color: Tokens.quiet
            font.pixelSize: Tokens.small
            text: qsTr("%1 at %2. %3").arg(satchel.email).arg(satchel.site).arg(satchel.remembered ? qsTr("The session is kept in this system's keyring.") : qsTr("This system has no keyring: the session lasts until Satchel quits."))
        }
        PushButton { text: qsTr("Sign out"); onClicked: { satchel.signOut(); page.back() } }
    }
    Component.onCompleted: {
        backButton.forceActiveFocus()
        satchel.preferences.read()
    }
}
