import QtQuick
import QtQuick.Controls.Basic

Popup {
    id: popup
    modal: true
    focus: true
    padding: 24
    width: Math.min(560, parent.width - 40)
    height: Math.min(parent.height - 80, column.implicitHeight + 48)
    anchors.centerIn: parent
    background: Rectangle { radius: 22; color: Tokens.card; border.width: 1; border.color: Tokens.line }
    Overlay.modal: Rectangle { color: Qt.alpha("#000000", 0.35) }
    contentItem: Flickable {
        contentHeight: column.implicitHeight
        clip: true
        Column {
            id: column
            width: parent.width
            spacing: 14
            Text { text: satchel.headline; width: parent.width; wrapMode: Text.Wrap; color: Tokens.text; font.pixelSize: Tokens.heading; font.weight: Font.DemiBold }
            Repeater {
                model: satchel.folders.rows
                Text {
                    required property var modelData
                    width: column.width
                    wrapMode: Text.Wrap
                    textFormat: Text.PlainText
                    color: Tokens.quiet
                    font.pixelSize: Tokens.small
                    text: modelData.path + " · " + modelData.goes + " · " + modelData.looks
                }
            }
            Repeater {
                model: satchel.folders.held
                Column {
                    required property var modelData
                    width: column.width
                    spacing: 2
                    Text { width: parent.width; elide: Text.ElideMiddle; text: modelData.path; textFormat: Text.PlainText; color: Tokens.text; font.pixelSize: Tokens.small; font.weight: Font.DemiBold }
                    Text { width: parent.width; wrapMode: Text.Wrap; text: modelData.reason; textFormat: Text.PlainText; color: Tokens.bad; font.pixelSize: Tokens.small }
                    Text { width: parent.width; wrapMode: Text.Wrap; text: modelData.remedy; textFormat: Text.PlainText; color: Tokens.quiet; font.pixelSize: Tokens.small }
                }
            }
            Text { visible: satchel.folders.held.length === 0; width: parent.width; wrapMode: Text.Wrap; color: Tokens.quiet; font.pixelSize: Tokens.small; text: qsTr("Nothing is held back.") }
            Row {
                spacing: 10
                PushButton { text: satchel.paused ? qsTr("Resume all") : qsTr("Pause all"); glyph: satchel.paused ? Icons.play : Icons.pause; onClicked: { satchel.togglePause(); popup.close() } }
                PushButton { kind: "soft"; text: qsTr("Close"); onClicked: popup.close() }
            }
        }
    }
}
