import QtQuick
import QtQuick.Controls.Basic

// One transfer. Ctrl+C copies its link, Delete cancels it.
Rectangle {
    id: row
    required property string transferId
    required property string name
    required property string badge
    required property string tile
    required property string detail
    required property string tone
    required property real progress
    required property string stage
    required property bool canCancel
    required property bool canPause
    required property bool canResume
    required property bool canRetry
    required property bool canCopy
    required property string link

    readonly property bool narrow: width < 560
    readonly property color moving: stage === "failed" || tone === "bad" ? Tokens.bad : stage === "paused" ? Tokens.quiet : Tokens.accent

    height: 84
    radius: Tokens.radius
    color: Tokens.card
    border.width: 1
    border.color: Tokens.line
    activeFocusOnTab: true
    Accessible.role: Accessible.ListItem
    Accessible.name: name
    Accessible.description: detail
    Keys.onPressed: event => {
        if (event.matches(StandardKey.Copy) && row.canCopy) {
            satchel.copy(row.link)
            event.accepted = true
        } else if (event.key === Qt.Key_Delete && row.canCancel) {
            satchel.transfer("cancel", row.transferId)
            event.accepted = true
        }
    }
    FocusRing { control: row }

    Rectangle {
        id: tileShape
        x: 15
        anchors.verticalCenter: parent.verticalCenter
        width: 60
        height: 60
        radius: 14
        gradient: Gradient {
            GradientStop { position: 0; color: (Tokens.tiles[row.tile] ?? Tokens.tiles.other)[0] }
            GradientStop { position: 1; color: (Tokens.tiles[row.tile] ?? Tokens.tiles.other)[1] }
        }
        Text {
            anchors.centerIn: parent
            visible: row.tile !== "folder"
            text: row.badge
            color: "white"
            font.pixelSize: Tokens.tiny
            font.weight: Font.Bold
            Accessible.ignored: true
        }
        Icon { visible: row.tile === "folder"; anchors.centerIn: parent; width: 28; height: 28; path: Icons.folder; color: "white" }
    }
    Column {
        anchors { left: tileShape.right; leftMargin: 17; right: actions.left; rightMargin: 18; verticalCenter: parent.verticalCenter }
        spacing: 4
        Text {
            width: parent.width
            text: row.name
            textFormat: Text.PlainText
            elide: Text.ElideMiddle
            maximumLineCount: 1
            color: Tokens.text
            font.pixelSize: Tokens.body
            font.weight: Font.DemiBold
            Accessible.ignored: true
        }
        Text {
            width: parent.width
            text: row.detail
            textFormat: Text.PlainText
            elide: Text.ElideRight
            color: row.stage === "failed" || row.tone === "bad" ? Tokens.bad : Tokens.quiet
            font.pixelSize: Tokens.small
            Accessible.ignored: true
        }
        Rectangle {
            visible: row.progress >= 0
            width: parent.width
            height: 7
            radius: 3.5
            color: Tokens.track
            Accessible.role: Accessible.ProgressBar
            Accessible.name: qsTr("%1 percent of %2").arg(Math.round(row.progress * 100)).arg(row.name)
            Rectangle {
                width: Math.max(row.progress > 0 ? 7 : 0, parent.width * Math.min(1, row.progress))
                height: parent.height
                radius: parent.radius
                color: row.moving
            }
        }
    }
    Row {
        id: actions
        anchors { right: parent.right; rightMargin: 19; verticalCenter: parent.verticalCenter }
        spacing: 8
        PushButton {
            visible: row.canCancel
            kind: "bare"
            glyph: Icons.close
            implicitWidth: 41
            hint: qsTr("Cancel %1").arg(row.name)
            onClicked: satchel.transfer("cancel", row.transferId)
        }
        PushButton {
            visible: row.canPause && !row.narrow
            kind: "bare"
            glyph: Icons.pause
            implicitWidth: 41
            hint: qsTr("Pause %1").arg(row.name)
            onClicked: satchel.transfer("pause", row.transferId)
        }
        PushButton {
            visible: row.canResume
            implicitWidth: 140
            text: qsTr("Resume")
            hint: qsTr("Resume %1").arg(row.name)
            glyph: Icons.play
            onClicked: satchel.transfer("resume", row.transferId)
        }
        PushButton {
            visible: row.canRetry
            implicitWidth: 140
            text: qsTr("Retry")
            hint: qsTr("Retry %1").arg(row.name)
            glyph: Icons.retry
            onClicked: satchel.transfer("retry", row.transferId)
        }
        PushButton {
            visible: row.canCopy && !row.canRetry
            implicitWidth: row.narrow ? 41 : 140
            kind: "soft"
            text: row.narrow ? "" : qsTr("Copy link")
            hint: qsTr("Copy link to %1").arg(row.name)
            glyph: Icons.link
            onClicked: satchel.copy(row.link)
        }
    }
}
